package settings

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// number is what limits apply to.
type number interface{ ~int64 | ~float64 }

// AboveZero refuses 0.
func AboveZero[T number, S syntax[T]](s *Setting[T, S]) Check {
	return func() error {
		if s.Value <= 0 {
			return errors.New("too small; allowed: more than 0")
		}
		return nil
	}
}

// AtLeast refuses what is below a limit.
func AtLeast[T number, S syntax[T]](s *Setting[T, S], limit T) Check {
	return func() error {
		if s.Value < limit {
			return fmt.Errorf("too small; allowed: %s or more", Setting[T, S]{Value: limit})
		}
		return nil
	}
}

// Longest is beyond all that somebody means, and short enough to be reckoned with:
// ten years.
const Longest = 3650 * 24 * time.Hour

// AtMost refuses what is above a limit.
func AtMost[T number, S syntax[T]](s *Setting[T, S], limit T) Check {
	return func() error {
		if s.Value > limit {
			return fmt.Errorf("too large; allowed: %s or less", Setting[T, S]{Value: limit})
		}
		return nil
	}
}

// NotTiny refuses a limit so low that it is more likely a typo, unless that is
// allowed by the switch of that name. A limit of 0 is none.
func NotTiny[T number, S syntax[T]](s *Setting[T, S], limit T, how, switchName string, allowed *Bool) Check {
	return func() error {
		if s.Value > 0 && s.Value < limit && !Allowed(allowed) {
			return fmt.Errorf("so %s more likely a typo; allowed: %s or more, 0 for no limit, or %s_%s=true",
				how, Setting[T, S]{Value: limit}, Prefix, switchName)
		}
		return nil
	}
}

// LongEnough refuses a limit that a switch must allow, and that 0 does not turn
// off.
func LongEnough[T number, S syntax[T]](s *Setting[T, S], limit T, switchName string, allowed *Bool) Check {
	return func() error {
		if s.Value > 0 && s.Value < limit && !Allowed(allowed) {
			return fmt.Errorf("so short is more likely a typo; allowed: %s or more, or %s_%s=true", Setting[T, S]{Value: limit}, Prefix, switchName)
		}
		return nil
	}
}

// Allowed reports whether a switch is on, or might be: its own fault is enough
// to report.
func Allowed(s *Bool) bool { return s.Value || s.Fault() != nil }

// OnlyOne refuses a secret that is given as text and as a file.
func OnlyOne(otherName string, other *Secret, file *File) Check {
	return func() error {
		if file.Value != "" && other.Value != "" {
			return fmt.Errorf("%s_%s is set too; allowed: one of them", Prefix, otherName)
		}
		return nil
	}
}

// FileThat refuses a file by its content.
func FileThat(file *File, check func(path string) error) Check {
	return func() error {
		if file.Value == "" {
			return nil
		}
		return check(file.Value)
	}
}

// Needs refuses one half of a pair. A half with a fault of its own counts as
// given.
func Needs(otherName string, other, file *File) Check {
	return func() error {
		if file.Value != "" && other.Origin() == OriginDefault {
			return fmt.Errorf("of no use alone; allowed: together with %s_%s", Prefix, otherName)
		}
		return nil
	}
}

// KeySpace is a key, or all keys with a prefix, and whose it is.
type KeySpace struct {
	Owner, Text string
	Prefix      bool
}

func (k KeySpace) overlaps(other KeySpace) bool {
	switch {
	case k.Prefix && strings.HasPrefix(other.Text, k.Text):
		return true
	case other.Prefix && strings.HasPrefix(k.Text, other.Text):
		return true
	}
	return k.Text == other.Text
}

// Apart refuses the keys of an owner that could also be those of another owner
// who stands before it.
func Apart(owner string, spaces func() []KeySpace) Check {
	return func() error {
		all := spaces()
		for i, mine := range all {
			for _, other := range all[:i] {
				if mine.Owner == owner && other.Owner != owner && mine.overlaps(other) {
					return fmt.Errorf("shares keys with %s (%q); allowed: names that cannot meet", other.Owner, other.Text)
				}
			}
		}
		return nil
	}
}
