// Package trim decides what goes from a stream: a pure function of a [Policy]
// and of what is known of the stream, its [StreamStats], to a [Cut] with the
// reasons.
//
// Package sweep carries cuts out, and package pressure reduces retention while
// Redis is near its maxmemory.
package trim

import (
	"fmt"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// Policy says what stays in a stream. The zero value keeps everything.
type Policy struct {
	// MaxLength is how many of the newest entries stay; 0 means any number.
	MaxLength int64
	// MaxAge is how old an entry may become; 0 means any age.
	MaxAge time.Duration
	// MaxBytes is how much memory the entries may take in Redis; 0 means any.
	MaxBytes int64
	// MinAge is the age below which an entry stays, whatever MaxLength says.
	MinAge time.Duration
	// Exact keeps not one entry more; otherwise up to one macro node more may
	// stay.
	Exact bool
	// KeepAll keeps everything, whatever the rest says.
	KeepAll bool
}

// KeepsAll reports whether the policy never removes anything.
func (p Policy) KeepsAll() bool {
	return p.KeepAll || p.MaxLength <= 0 && p.MaxAge <= 0 && p.MaxBytes <= 0
}

// WithoutClock is what is left of the policy where the server's clock cannot be
// trusted: no age removes anything, and as no age protects anything either, a
// policy with a MinAge keeps everything.
func (p Policy) WithoutClock() Policy {
	if p.MinAge > 0 {
		p.KeepAll = true
	}
	p.MaxAge = 0
	return p
}

// measure is one number of a policy, by which policies are compared. It limits
// what is kept, with 0 for no limit, or protects it.
type measure struct {
	name     string
	value    int64
	protects bool
}

// measures are the policy's numbers.
func (p Policy) measures() []measure {
	var exact int64
	if p.Exact {
		exact = 1
	}
	return []measure{
		{name: "max_length", value: p.MaxLength},
		{name: "max_age_ms", value: p.MaxAge.Milliseconds()},
		{name: "max_bytes", value: p.MaxBytes},
		{name: "min_age_ms", value: p.MinAge.Milliseconds(), protects: true},
		{name: "exact", value: exact},
	}
}

// LengthLimit is how many entries the policy allows, 0 for any number.
func (p Policy) LengthLimit() int64 {
	if p.KeepAll {
		return 0
	}
	return max(0, p.MaxLength)
}

// IsTooLong reports whether a stream of so many entries is over the policy's limit.
func (p Policy) IsTooLong(entries int64) bool {
	limit := p.LengthLimit()
	return limit > 0 && entries > limit
}

// OldestAge is how old the policy lets an entry become, 0 for any age.
func (p Policy) OldestAge() time.Duration {
	if p.KeepAll {
		return 0
	}
	return max(0, p.MaxAge)
}

// BytesLimit is how much memory the policy allows, in bytes, 0 for any.
func (p Policy) BytesLimit() int64 {
	if p.KeepAll {
		return 0
	}
	return max(0, p.MaxBytes)
}

// String is the policy as a sentence's end: "keep the newest 10000 entries …".
func (p Policy) String() string {
	if p.KeepsAll() {
		return "keep everything"
	}
	var parts []string
	if p.MaxLength > 0 {
		parts = append(parts, fmt.Sprintf("the newest %d entries", p.MaxLength))
	}
	if p.MaxAge > 0 {
		if p.MaxLength > 0 {
			parts = append(parts, "that are not older than "+human.Duration(p.MaxAge))
		} else {
			parts = append(parts, "the entries that are not older than "+human.Duration(p.MaxAge))
		}
	}
	if p.MaxBytes > 0 {
		if len(parts) > 0 {
			parts = append(parts, "and within "+human.Bytes(p.MaxBytes)+" of memory")
		} else {
			parts = append(parts, "the newest entries within "+human.Bytes(p.MaxBytes)+" of memory")
		}
	}
	if p.MinAge > 0 {
		parts = append(parts, "and all that are younger than "+human.Duration(p.MinAge))
	}
	how := "approximately"
	if p.Exact {
		how = "exactly"
	}
	return "keep " + strings.Join(parts, " ") + ", " + how
}

// AgeLimit is the id below which entries are too old, 0-0 if none can be: the
// policy knows no age, or one that reaches back before ids begin.
func (p Policy) AgeLimit(now time.Time) buffer.ID {
	if p.MaxAge <= 0 || p.KeepsAll() {
		return buffer.ID{}
	}
	return buffer.TimeID(now.Add(-max(p.MaxAge, p.MinAge)))
}

// LimitsAge reports whether an entry can be too old.
func (p Policy) LimitsAge(now time.Time) bool { return !p.AgeLimit(now).IsZero() }

// MinAgeFloor is the id from which on nothing goes because it is too young, 0-0
// if the policy protects no age.
func (p Policy) MinAgeFloor(now time.Time) buffer.ID {
	if p.MinAge <= 0 {
		return buffer.ID{}
	}
	floor := buffer.TimeID(now.Add(-p.MinAge))
	if floor.IsZero() {
		return floor.Next() // all entries are younger
	}
	return floor
}
