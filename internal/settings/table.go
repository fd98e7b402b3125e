package settings

import (
	"fmt"
	"strings"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/escape"
)

// Prefix and an underscore begin every environment variable of ours.
const Prefix = "STREAMKEEPER"

// Row is one setting: everything that there is to say of it.
type Row struct {
	// Name of the variable, without the prefix.
	Name  string
	Field Field
	// Help is a sentence that says what the setting is for.
	Help      string
	byDefault func()
	checks    []Check
}

// Check says what is wrong with a setting that has been read, nil for nothing.
// It leaves a setting alone while another that it is measured by has a fault of
// its own.
type Check func() error

// New makes a row. The field gets its default value by [Table.Reset].
func New[T any, S syntax[T]](name string, field *Setting[T, S], byDefault T, help string, checks ...Check) Row {
	return Row{Name: name, Field: field, Help: help, byDefault: func() { *field = Setting[T, S]{Value: byDefault} }, checks: checks}
}

// Table is every setting in the order in which they are documented and shown.
type Table []Row

// Reset gives every setting its default value.
func (t Table) Reset() {
	for _, row := range t {
		row.byDefault()
	}
}

// Names lists the settings without the prefix.
func (t Table) Names() []string {
	names := make([]string, len(t))
	for i, row := range t {
		names[i] = row.Name
	}
	return names
}

// Override is a setting given by other means than our environment variable: its
// name without the prefix, its text, and whose it is.
type Override struct{ Name, Text, Origin string }

// Set replaces one setting. As everywhere, an empty value changes nothing.
func (t Table) Set(o Override) error {
	row, err := t.find(o)
	if err == nil {
		row.Field.Set(o.Text, o.Origin)
	}
	return err
}

func (t Table) find(o Override) (Row, error) {
	for _, row := range t {
		if row.Name == o.Name {
			return row, nil
		}
	}
	return Row{}, fmt.Errorf("%s sets %s, which is no setting", o.Origin, o.Name)
}

// ConfigErrors are everything that is wrong with the configuration, a line each.
type ConfigErrors []string

// Error gives one fault a line.
func (f ConfigErrors) Error() string { return strings.Join(f, "\n") }

// Faults lists what is wrong with the settings, in their order.
func (t Table) Faults() ConfigErrors {
	var faults ConfigErrors
	for _, row := range t {
		if err := row.fault(); err != nil {
			faults = append(faults, faultLine(row.label(), row.Field.Written(), err))
		}
	}
	return faults
}

// fault is the first thing wrong with a setting.
func (r Row) fault() error {
	if err := r.Field.Fault(); err != nil {
		return err
	}
	for _, check := range r.checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// label is the name under which a user has given the setting.
func (r Row) label() string {
	switch origin := r.Field.Origin(); origin {
	case OriginDefault, OriginEnvironment:
		return Prefix + "_" + r.Name
	default:
		return origin
	}
}

// faultLine puts a fault on one line, whatever the error is made of.
func faultLine(name, value string, err error) string {
	return fmt.Sprintf("%s=%q: %s", name, value, strings.ReplaceAll(err.Error(), "\n", "; "))
}

// Shown is an effective setting as it is shown. Source is [OriginDefault],
// [OriginEnvironment], or the name of a flag or of one of the Stream Service's
// variables.
type Shown struct {
	Setting string `json:"setting"`
	Value   string `json:"value"`
	Source  string `json:"source"`
	// Help is what it is for.
	Help string `json:"help"`
}

// Show lists the effective settings, secrets masked.
func (t Table) Show() []Shown {
	var rows []Shown
	for _, row := range t {
		rows = append(rows, Shown{row.Name, showable(row.Field.String()), row.Field.Origin(), row.Help})
	}
	return rows
}

// showable leaves what can be shown as it is, to be copied, and escapes the rest.
func showable(value string) string {
	if !escape.Needed(strings.ReplaceAll(value, `\`, "")) {
		return value
	}
	return buffer.Escape(value)
}
