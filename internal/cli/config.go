package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/report"
)

// configRow is an effective setting. Source is "default", "environment", or the
// name of a flag or of one of the Stream Service's variables.
type configRow struct {
	Setting string `json:"setting"`
	Value   string `json:"value"`
	Source  string `json:"source"`
}

func (a *app) configCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Print the effective settings, and where each came from",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			format, err := a.format()
			if err != nil {
				return err
			}
			config, _, err := a.load()
			if err != nil {
				return err
			}
			if format == report.JSON {
				return writeConfigJSON(a.stdout, config.rows())
			}
			return writeConfigTable(a.stdout, config.rows())
		},
	}
	a.outputFlag(c)
	a.redisFlag(c)
	return c
}

// rows lists the effective settings in their order, secrets masked.
func (c *Config) rows() []configRow {
	var rows []configRow
	for _, e := range c.entries() {
		rows = append(rows, configRow{e.name, showable(e.field.String()), e.field.source()})
	}
	return rows
}

// showable leaves what can be shown as it is, to be copied, and escapes the rest.
func showable(value string) string {
	if utf8.ValidString(value) && !strings.ContainsFunc(value, unicode.IsControl) {
		return value
	}
	return buffer.Escape(value)
}

// writeConfigTable prints the rows for a person.
func writeConfigTable(w io.Writer, rows []configRow) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "SETTING\tVALUE\tSOURCE\n")
	for _, r := range rows {
		fmt.Fprintf(table, "%s\t%s\t%s\n", r.Setting, r.Value, r.Source)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("writing the settings: %w", err)
	}
	return nil
}

// writeConfigJSON prints the rows as an array.
func writeConfigJSON(w io.Writer, rows []configRow) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(rows); err != nil {
		return fmt.Errorf("writing the settings: %w", err)
	}
	return nil
}
