// Package settings knows what a setting is: its value, how it is written, what
// it may be, and where it came from. It knows none of the program's settings;
// the root lists those in a [Table].
package settings

import (
	"errors"
	"fmt"
	"strings"
)

// Where a setting came from; else it is the name of a flag or of one of the
// Stream Service's variables.
const (
	OriginDefault     = "default"
	OriginEnvironment = "environment"
)

// Setting is a value, and where it came from. Text that cannot be read leaves the
// value alone and is kept with its error, because envconfig stops at the first
// error and we report them all.
type Setting[T any, S syntax[T]] struct {
	Value  T
	text   string
	origin string
	err    error
}

// syntax reads and shows one kind of value. Its zero value must work.
type syntax[T any] interface {
	// parse reads what is not empty; its error says what is allowed and does not
	// repeat the text.
	parse(text string) (T, error)
	// format is a value as a person would write it, without secrets.
	format(value T) string
	// mask is the text, right or wrong, without secrets.
	mask(text string) string
	// readsEmpty reports whether empty text is a value.
	readsEmpty() bool
}

// Field is a setting of any type.
type Field interface {
	fmt.Stringer
	// Decode reads the text of an environment variable, for envconfig; it never
	// fails.
	Decode(text string) error
	// Set replaces the value by the text of somebody, the origin.
	Set(text, origin string)
	// Origin says where the value came from.
	Origin() string
	// Written is the text that was given, right or wrong, without secrets.
	Written() string
	// Fault is what is wrong with the text that was given.
	Fault() error
}

// Decode implements [Field].
func (s *Setting[T, S]) Decode(text string) error {
	s.Set(text, OriginEnvironment)
	return nil
}

// Set implements [Field]. Empty text means "not set", except to a syntax that
// says otherwise.
func (s *Setting[T, S]) Set(text, origin string) {
	var syntax S
	// A Secret made with echo ends in a newline.
	text = strings.TrimSpace(text)
	if text == "" && !syntax.readsEmpty() {
		return
	}
	value, err := syntax.parse(text)
	switch {
	case err == nil:
		s.Value = value
	case quoted(text):
		if _, inside := syntax.parse(text[1 : len(text)-1]); inside == nil {
			err = errors.New("the quotes around the value are part of it: take them off")
		} else {
			err = fmt.Errorf("%w; the quotes around the value are part of it", inside)
		}
	}
	s.text, s.origin, s.err = text, origin, err
}

// quoted reports whether quotes stand around the whole text.
func quoted(text string) bool {
	return len(text) > 1 && text[0] == text[len(text)-1] && (text[0] == '"' || text[0] == '\'')
}

// Origin implements [Field].
func (s Setting[T, S]) Origin() string {
	if s.origin == "" {
		return OriginDefault
	}
	return s.origin
}

// Written implements [Field].
func (s Setting[T, S]) Written() string {
	if s.Origin() == OriginDefault {
		return s.String()
	}
	var syntax S
	return syntax.mask(s.text)
}

// Fault implements [Field].
func (s Setting[T, S]) Fault() error { return s.err }

// String is the value without secrets.
func (s Setting[T, S]) String() string {
	var syntax S
	return syntax.format(s.Value)
}

// MarshalText keeps secrets out of JSON and of structured logs.
func (s Setting[T, S]) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// plain shows values that hold no secret.
type plain[T any] struct{}

func (plain[T]) format(value T) string   { return fmt.Sprint(value) }
func (plain[T]) mask(text string) string { return text }
func (plain[T]) readsEmpty() bool        { return false }
