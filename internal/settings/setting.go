package main

import (
	"fmt"

	"github.com/kelseyhightower/envconfig"
)

// Where a setting came from; else it is the name of a flag or of one of the
// Stream Service's variables.
const (
	originDefault     = "default"
	originEnvironment = "environment"
)

// setting is one setting: a value, and where it came from. Text that cannot be
// read leaves the value alone and is kept with its error, because envconfig
// stops at the first error and we report them all.
type setting[T any, S syntax[T]] struct {
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
}

// field is a setting of any type.
type field interface {
	envconfig.Decoder
	fmt.Stringer
	set(text, origin string)
	source() string
	written() string
	fault() error
}

// Decode implements [envconfig.Decoder]; it never fails.
func (s *setting[T, S]) Decode(text string) error {
	s.set(text, originEnvironment)
	return nil
}

// set replaces the value. Empty text means "not set", except to a syntax that
// says otherwise.
func (s *setting[T, S]) set(text, origin string) {
	var syntax S
	if _, ok := any(syntax).(interface{ readsEmpty() }); text == "" && !ok {
		return
	}
	value, err := syntax.parse(text)
	if err == nil {
		s.Value = value
	}
	s.text, s.origin, s.err = text, origin, err
}

// source says where the value came from.
func (s setting[T, S]) source() string {
	if s.origin == "" {
		return originDefault
	}
	return s.origin
}

// written is the text that was given, right or wrong, without secrets.
func (s setting[T, S]) written() string {
	if s.source() == originDefault {
		return s.String()
	}
	var syntax S
	return syntax.mask(s.text)
}

func (s setting[T, S]) fault() error { return s.err }

// String is the value without secrets.
func (s setting[T, S]) String() string {
	var syntax S
	return syntax.format(s.Value)
}

// MarshalText keeps secrets out of JSON and of structured logs.
func (s setting[T, S]) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// plain shows values that hold no secret.
type plain[T any] struct{}

func (plain[T]) format(value T) string   { return fmt.Sprint(value) }
func (plain[T]) mask(text string) string { return text }
