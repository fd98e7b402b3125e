package trim

import (
	"fmt"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// Reason says which limit removed an entry; it is a metric's label.
type Reason string

// The reasons.
const (
	ByLength   Reason = "length"
	ByAge      Reason = "age"
	ByBytes    Reason = "bytes"
	ByPressure Reason = "pressure"
)

// Reasons lists every reason, for metrics that start at 0.
var Reasons = []Reason{ByLength, ByAge, ByBytes, ByPressure}

// StreamStats are what a decision about one stream is based on. What is not
// known is left zero: a limit is then not exceeded, and nothing protects. A run
// knows the length and what is too old; the rest it reads only
// of streams that have lost what they could.
type StreamStats struct {
	Stream string
	// Info is the stream as Redis knows it.
	Info buffer.StreamInfo
	// OldEntries is the number of entries below the policy's age limit, as far as
	// they were counted, and YoungEntries of those that its MinAge protects.
	OldEntries, YoungEntries int64
	// Bytes is what the entries take in memory, and EntriesOverBytes how many of the
	// oldest go until that is within the policy's limit. They are read of few
	// streams.
	Bytes, EntriesOverBytes int64
	// HoldsYoung: the last id is no time, but that of an entry is, and the
	// policy's MinAge protects it.
	HoldsYoung bool
	// NodeLimit is the most entries that the server puts into a macro node now.
	NodeLimit int64
	// NeededBy is the consumer group that needs the oldest entry, empty if none
	// protects entries, and NeededEntries how many of the newest entries it needs. A
	// run knows neither before it trims: the server finds what groups need (trimScript
	// in package buffer). Once it has, [Left] and [Paused] go by it.
	NeededBy      string
	NeededEntries int64
}

// Cut is the decision about one stream that is over a limit.
type Cut struct {
	Stream string
	// Steps carry it out, one for each limit.
	Steps []Step
	// Entries that go; an estimate if Estimated is set.
	Entries   int64
	Estimated bool
	// Bytes is about what they take in memory, without consumer groups; 0 if not known.
	Bytes int64
	// InNode is how many of the entries go inside a macro node that stays, which frees
	// nothing.
	InNode int64
	// Protected are the entries over a limit that stay all the same.
	Protected []Protection
}

// Step removes what is over one limit. What stays is part of it, so it is right
// whatever happens to the stream meanwhile.
type Step struct {
	By Reason
	// MaxLen is how many of the newest entries stay. It counts unless Before
	// is set.
	MaxLen int64
	// Before is the id below which entries go.
	Before buffer.ID
	// MinAgeFloor is the id from which on entries are too young to go; 0-0 for none.
	MinAgeFloor buffer.ID
	// Over is how many entries are over the limit; see AtLeast.
	Over int64
	// Why says in words what is over which limit.
	Why Why
}

// AtLeast reports whether more may be over the limit than Over says: it was counted
// among the oldest entries alone, and only Redis knows how many lie below Before.
func (s Step) AtLeast() bool { return !s.Before.IsZero() }

// Why is the reason of a step; it becomes words only where somebody reads it.
type Why struct {
	// Text, if set, is all there is to say.
	Text string
	// Entries are compared with MaxLen.
	Entries, MaxLen int64
	// Age is that of the oldest entry, which is compared with MaxAge.
	Age, MaxAge time.Duration
	// Bytes are compared with MaxBytes.
	Bytes, MaxBytes int64
}

// String says it: "5 050 entries (limit 1 000)".
func (w Why) String() string {
	switch {
	case w.Text != "":
		return w.Text
	case w.MaxAge > 0:
		return fmt.Sprintf("oldest entry %s old (limit %s)", human.Duration(w.Age), human.Duration(w.MaxAge))
	case w.MaxBytes > 0:
		return fmt.Sprintf("%s in memory (limit %s)", human.Bytes(w.Bytes), human.Bytes(w.MaxBytes))
	}
	return fmt.Sprintf("%s entries (limit %s)", human.Count(w.Entries), human.Count(w.MaxLen))
}

func overLength(p Policy, s *StreamStats, now time.Time) (Step, bool) {
	length := s.Info.Length
	if !p.IsTooLong(length) {
		return Step{}, false
	}
	return Step{
		By: ByLength, MaxLen: p.MaxLength, MinAgeFloor: minAgeFloor(p, s, now), Over: length - p.MaxLength,
		Why: Why{Entries: length, MaxLen: p.MaxLength},
	}, true
}

// minAgeFloor is the id from which on an entry is too young to go. Only ids that lie
// ahead are not protected. A floor above all ids changes nothing, and holds where
// ids become times while a step waits.
func minAgeFloor(p Policy, s *StreamStats, now time.Time) buffer.ID {
	floor := p.MinAgeFloor(now)
	if s.Info.LastID.IsTime(now) || s.Info.LastID.Less(floor) || s.HoldsYoung {
		return floor
	}
	return buffer.ID{}
}

// OverBytes removes what takes more memory than the policy allows, in whole macro
// nodes only: nothing else frees memory.
func OverBytes(p Policy, s *StreamStats, now time.Time) (Step, bool) {
	if p.MaxBytes <= 0 || s.EntriesOverBytes <= 0 {
		return Step{}, false
	}
	return Step{
		By: ByBytes, MaxLen: s.Info.Length - s.EntriesOverBytes, MinAgeFloor: minAgeFloor(p, s, now), Over: s.EntriesOverBytes,
		Why: Why{Bytes: s.Bytes, MaxBytes: p.MaxBytes},
	}, true
}

func overAge(p Policy, s *StreamStats, now time.Time) (Step, bool) {
	limit := p.AgeLimit(now)
	if limit.IsZero() || s.OldEntries <= 0 || !s.Info.LastID.IsTime(now) {
		return Step{}, false
	}
	age := now.Sub(s.Info.First.Time())
	return Step{By: ByAge, Before: limit, Over: s.OldEntries, Why: Why{Age: age, MaxAge: p.MaxAge}}, true
}

// Decide says what the policy removes from a stream, and what of it stays because
// something protects it that the stats know of; false if the stream is within its
// limits. What is over a limit does not depend on consumer groups: what they protect
// stays when it is carried out.
func Decide(p Policy, s StreamStats, now time.Time) (Cut, bool) {
	if p.KeepsAll() || !s.Info.Exists() {
		return Cut{}, false
	}
	cut := Cut{Stream: s.Stream}
	cut.add(overLength(p, &s, now))
	cut.add(overAge(p, &s, now))
	cut.add(OverBytes(p, &s, now))
	if len(cut.Steps) == 0 {
		return Cut{}, false
	}
	length := s.Info.Length
	if p.MinAge > 0 && (s.Info.LastID.IsTime(now) || s.HoldsYoung) {
		cut.protect(length-s.YoungEntries, Protection{By: ProtectedByAge, Stay: s.YoungEntries, Age: p.MinAge})
	}
	if s.NeededBy != "" {
		cut.protect(length-s.NeededEntries, Protection{By: ProtectedByGroup, Group: s.NeededBy, Stay: s.NeededEntries})
	}
	return cut, true
}

// Left says what protects the entries over a limit that a run has left in a
// stream: what no age and no group protects shares a macro node with entries that
// stay. Exact trimming leaves only what came since, but for a limit of bytes.
func Left(p Policy, s StreamStats, now time.Time) []Protection {
	cut, _ := Decide(p, s, now)
	if p.Exact && s.EntriesOverBytes == 0 || cut.Entries == 0 {
		return cut.Protected
	}
	rest := Protection{By: ProtectedByNode, Entries: cut.Entries}
	if s.EntriesOverBytes > 0 {
		rest.Bytes, rest.MaxBytes = max(0, s.Bytes-p.MaxBytes), p.MaxBytes
	}
	return append(cut.Protected, rest)
}

// Paused says what stays in a stream that a pause protects: what a run would
// remove, and what else protects entries over a limit.
func Paused(p Policy, s StreamStats, now time.Time) (Cut, bool) {
	cut, over := Decide(p, s, now)
	cut.protect(0, Protection{By: ProtectedByPause})
	return cut, over
}

// Reason says in words why entries go, and why others stay.
func (c Cut) Reason() string {
	var parts []string
	for _, step := range c.Steps {
		parts = append(parts, step.Why.String())
	}
	if c.InNode > 0 {
		parts = append(parts, fmt.Sprintf("%s inside a macro node, which frees no memory until it is empty", human.Count(c.InNode)))
	}
	for _, p := range c.Protected {
		if p.By != ProtectedByNode {
			parts = append(parts, p.Reason())
		}
	}
	return strings.Join(parts, "; ")
}

// add takes a step in, if a limit is exceeded.
func (c *Cut) add(s Step, over bool) {
	if over {
		c.Steps = append(c.Steps, s)
		c.Entries = max(c.Entries, s.Over)
	}
}

// protect keeps the entries of a cut beyond most.
func (c *Cut) protect(most int64, p Protection) {
	most = max(0, most)
	if p.Entries = c.Entries - most; p.Entries > 0 {
		c.Entries = most
		c.Protected = append(c.Protected, p)
	}
}

// GoesExact reports whether entries that are over a limit go one by one though
// trimming is approximate, as they share their macro node with ones that stay:
// that node alone is larger than what the limit leaves, or than the server makes
// them. Over is how many of the stream's length are over the limit, and nodeLimit
// the most that the server puts into a node; all are numbers of entries. Nodes as
// Redis makes them by default, or now, are small enough to wait for.
func GoesExact(over, length, nodeLimit int64) bool {
	leaves := length - over
	return over > 0 && (over >= leaves || nodeLimit > max(leaves, buffer.FewEntries) || nodeLimit > 0 && over > max(nodeLimit, buffer.DefaultNodeLimits.Entries))
}
