// Package cleanup decides which sessions have expired and which streams are
// dead, and removes them so that nothing that is still in use can go.
//
// A run walks the registry twice. The first walk decides and counts; the brake
// judges the counts; the second walk decides again, page by page, and acts.
// Memory does not grow with the number of sessions.
package cleanup

import (
	"errors"
	"fmt"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
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
}

// Default limits.
const (
	// DefaultExpireAfter is longer than a race day with its breaks.
	DefaultExpireAfter = 24 * time.Hour
	// DefaultRetireAfter gives a stream a day after its last entry.
	DefaultRetireAfter = 24 * time.Hour
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

// Life is what a session is judged to be; it is a metric's label.
type Life string

// The lives.
const (
	Live      Life = "live"
	Stale     Life = "stale"
	Malformed Life = "malformed"
)

// Lives lists every life, for metrics that start at 0.
var Lives = []Life{Live, Stale, Malformed}

// errFuture is why a session whose time lies ahead is malformed.
var errFuture = errors.New("lastUpdated is more than a day in the future")

// JudgeSession says whether a session lives, by Redis's clock, and why if not.
func JudgeSession(s buffer.Session, l Limits, now time.Time) (Life, string) {
	if s.Malformed != nil {
		return Malformed, s.Malformed.Error()
	}
	if s.Updated.After(now.Add(buffer.MaxTimeAhead)) {
		return Malformed, errFuture.Error()
	}
	if age := now.Sub(s.Updated); age > l.ExpireAfter {
		return Stale, fmt.Sprintf("not updated for %s (limit %s)", human.Duration(age), human.Duration(l.ExpireAfter))
	}
	return Live, ""
}

// StreamFacts are what a decision about one stream is based on.
type StreamFacts struct {
	Name string
	Info buffer.StreamInfo
	// Sighted is when the stream was first seen without an entry, zero if it
	// was not seen so before.
	Sighted time.Time
}

// Fate is what becomes of a stream that no session names.
type Fate int

// The fates.
const (
	// Keep the stream.
	Keep Fate = iota
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
func JudgeStream(f StreamFacts, l Limits, now time.Time) (Fate, string) {
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
		if ripe {
			return Retirable, fmt.Sprintf("no session, never an entry, seen so %s ago (limit %s)", human.Duration(seen), limit)
		}
		return Watch, ""
	case !f.Info.LastID.IsTime(now):
		return WrongID, ""
	}
	if age := now.Sub(f.Info.LastID.Time()); age > l.RetireAfter {
		return Retirable, fmt.Sprintf("no session, last entry %s ago (limit %s)", human.Duration(age), limit)
	}
	return Keep, ""
}
