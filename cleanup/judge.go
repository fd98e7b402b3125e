package cleanup

import (
	"fmt"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// Limits are the ages past which things go.
type Limits struct {
	// ExpireAfter is how long a session may go without an update.
	ExpireAfter time.Duration
	// AbandonAfter is how long an open or waiting session may go without an
	// update before it is marked as abandoned; 0 means for ever.
	AbandonAfter time.Duration
	// RetireAfter is how long a stream may go without a session and an entry.
	RetireAfter time.Duration
	// GroupIdleAfter is how long a consumer group without consumers keeps a
	// stream that had entries, since it was first seen so; RetireAfter where that
	// is longer.
	GroupIdleAfter time.Duration
}

// Default limits.
const (
	// DefaultExpireAfter is longer than a race day with its breaks.
	DefaultExpireAfter = 24 * time.Hour
	// DefaultRetireAfter gives a stream a day after its last entry.
	DefaultRetireAfter = 24 * time.Hour
)

// Limits below these are more likely a typo than meant.
const (
	MinLimit        = 10 * time.Minute
	MinAbandonAfter = time.Minute
)

// Kind is what an [Action] does.
type Kind string

// The kinds of actions, as plan names them.
const (
	Expire   Kind = "expire"
	Abandon  Kind = "abandon"
	Retire   Kind = "retire"
	Restore  Kind = "restore"
	DropName Kind = "drop-name"
)

// Action is one decision.
type Action struct {
	Kind Kind
	// Session is the identity, for Expire and Abandon.
	Session string
	// Stream is the stream's name; for a session, the one it names, if any.
	Stream string
	// Reason in words.
	Reason string
	// Updated is when the session or the stream was last updated, zero if
	// never.
	Updated time.Time
	// After says on what the action depends: a stream whose last sessions
	// expire in the same run retires only if they did.
	After string
}

// State is what a session is judged to be; it is a metric's label.
type State string

// The states.
const (
	Live      State = "live"
	Stale     State = "stale"
	Malformed State = "malformed"
	// Foreign entries are not RTA's, and are never changed.
	Foreign State = "foreign"
	// Flowing sessions are not updated, but their messages arrive.
	Flowing State = "flowing"
	// Postponed sessions are too old, but their messages could not be looked at
	// in this run.
	Postponed State = "postponed"
)

// States lists the states that metrics start with. A postponed session counts
// as stale there.
var States = []State{Live, Stale, Malformed, Flowing, Foreign}

// Messages says when messages of a session arrived.
type Messages struct {
	// Unknown: the stream could not be looked at in this run.
	Unknown bool
	// Newest is when the newest arrived, as far as the look goes; zero if none
	// was found.
	Newest time.Time
}

// within reports whether messages arrived within a limit.
func (m Messages) within(limit time.Duration, now time.Time) bool {
	return !m.Newest.IsZero() && now.Sub(m.Newest) <= limit
}

const foreignReason = "no RTA field marks it as RTA's"

// PutBackReason begins the reason of what the history has of a session that undo put
// back: else only streams are restored.
const PutBackReason = "session put back by undo"

// JudgeSession says what a session is, by Redis's clock, and why unless it
// lives by its time. Messages, and that it was put back, matter only where its time
// is too old.
func JudgeSession(s registry.Session, m Messages, l Limits, now time.Time) (State, string) {
	if s.Foreign {
		return Foreign, foreignReason
	}
	if err := s.Fault(now); err != nil {
		return Malformed, err.Error()
	}
	age := now.Sub(s.Updated)
	if age <= l.ExpireAfter {
		return Live, ""
	}
	if back := now.Sub(s.PutBack); !s.PutBack.IsZero() && back <= l.ExpireAfter {
		return Live, fmt.Sprintf("not updated for %s, put back by undo %s ago (limit %s)", human.Duration(age), human.Duration(max(0, back)), human.Duration(l.ExpireAfter))
	}
	reason := fmt.Sprintf("not updated for %s (limit %s)", human.Duration(age), human.Duration(l.ExpireAfter))
	switch {
	case m.Unknown:
		return Postponed, reason + ", its messages are not known"
	case m.within(l.ExpireAfter, now):
		return Flowing, reason + ", last message " + human.Duration(now.Sub(m.Newest)) + " ago"
	}
	return Stale, reason
}

// JudgeQuiet says what becomes of a session that stays, given the state of its
// Session JSON: it is to be marked as abandoned where nobody should wait for it
// any more ([Abandon] and why), or it is flowing or postponed, or nothing ("").
func JudgeQuiet(s registry.Session, state string, m Messages, l Limits, now time.Time) (abandon bool, is State, reason string) {
	if !l.isQuiet(s, now) || state != burst.StateOpen && state != burst.StateWaiting {
		return false, "", ""
	}
	reason = fmt.Sprintf("%s, not updated for %s (limit %s)", state, human.Duration(now.Sub(s.Updated)), human.Duration(l.AbandonAfter))
	switch {
	case m.Unknown:
		return false, Postponed, reason
	case m.within(l.AbandonAfter, now):
		return false, Flowing, reason
	}
	return true, "", reason
}

func (l Limits) isQuiet(s registry.Session, now time.Time) bool {
	return l.AbandonAfter > 0 && now.Sub(s.Updated) > l.AbandonAfter
}

// StreamFacts are what a decision about one stream is based on.
type StreamFacts struct {
	Name string
	Info buffer.StreamInfo
	// Sighted is when the stream was first seen without an entry, zero if it
	// was not seen so before.
	Sighted time.Time
	// GroupsSince says since when each of Info.WithoutConsumers is known to have
	// none, zero if it was not seen so before.
	GroupsSince []time.Time
}

// groupCounts reports whether a consumer group without consumers counts as
// active: it was not seen so for longer than the limit, or that is not known.
func (f StreamFacts) groupCounts(limit time.Duration, now time.Time) bool {
	return slices.ContainsFunc(f.GroupsSince, func(since time.Time) bool { return since.IsZero() || now.Sub(since) <= limit })
}

// StreamState is what becomes of a stream that no session names.
type StreamState int

// The states of a stream that no session names.
const (
	// Keep the stream.
	Keep StreamState = iota
	// Watch it: it has no entry, and is to be noted as seen so.
	Watch
	// Retirable streams are dead.
	Retirable
	// Droppable names have had no key for long enough.
	Droppable
	// WrongType keys are malformed, and stay.
	WrongType
	// WrongID streams have ids that are not times, and stay.
	WrongID
	// Unknown streams could not be asked, and stay.
	Unknown
)

// JudgeStream decides about a stream that no session, live or malformed,
// names.
func JudgeStream(f StreamFacts, l Limits, now time.Time) (StreamState, string) {
	limit := human.Duration(l.RetireAfter)
	seen := now.Sub(f.Sighted)
	ripe := !f.Sighted.IsZero() && seen >= l.RetireAfter
	switch {
	case f.Info.Err != nil:
		return Unknown, ""
	case f.Info.Type == "none":
		if ripe {
			return Droppable, fmt.Sprintf("no session, no key for %s (limit %s)", human.Duration(seen), limit)
		}
		return Watch, ""
	case !f.Info.Exists():
		return WrongType, ""
	case f.Info.ActiveWithin(l.RetireAfter):
		return Keep, ""
	case f.Info.LastID.IsZero():
		if ripe && !f.groupCounts(l.RetireAfter, now) {
			return Retirable, fmt.Sprintf("no session, never an entry, seen so %s ago (limit %s)", human.Duration(seen), limit)
		}
		return Watch, ""
	case !f.Info.LastID.IsTime(now):
		return WrongID, ""
	}
	if age := now.Sub(f.Info.LastID.Time()); age > l.RetireAfter && !f.groupCounts(max(l.RetireAfter, l.GroupIdleAfter), now) {
		return Retirable, fmt.Sprintf("no session, last entry %s ago (limit %s)", human.Duration(age), limit)
	}
	return Keep, ""
}
