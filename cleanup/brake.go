package cleanup

import (
	"fmt"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// Brake stops a run that would remove so much that an accident is more likely
// than a decision.
type Brake struct {
	// Share of all sessions, or of all streams, that one run may remove; 1
	// turns the brake off.
	Share float64
	// Min is a number of removals below which the share does not matter.
	Min int64
	// Hold is how long the same decision must have stood for the brake to let
	// go by itself; 0 means never.
	Hold time.Duration
}

// DefaultBrake stops a run that would remove more than half of more than 20,
// for an hour.
var DefaultBrake = Brake{Share: 0.5, Min: 20, Hold: time.Hour}

// Counts are what the brake judges.
type Counts struct {
	Sessions, Expire int64
	Streams, Retire  int64 // Retire takes in names to be dropped
	// HashSessions are the sessions that do not expire by themselves, and
	// LeftSessions and LeftStreams what the last run left of those and of the
	// streams; 0 if not known.
	HashSessions, LeftSessions, LeftStreams int64
}

// The members of the Hashes in which a run leaves word for the next.
const (
	leftSessions = "sessions"
	leftStreams  = "streams"
	heldSince    = "since_ms"
	heldRemovals = "removals"
)

// Judge says why the counts are too high, "" if they are not.
func (b Brake) Judge(c Counts) string {
	if b.Share >= 1 {
		return ""
	}
	var why []string
	if b.tooMany(c.Expire, c.Sessions) {
		why = append(why, fmt.Sprintf("%s of %s sessions would expire", human.Count(c.Expire), human.Count(c.Sessions)))
	}
	if b.tooMany(c.Retire, c.Streams) {
		why = append(why, fmt.Sprintf("%s of %s streams would be removed", human.Count(c.Retire), human.Count(c.Streams)))
	}
	if b.tooMany(c.LeftSessions-c.HashSessions, c.LeftSessions) {
		why = append(why, fmt.Sprintf("the last run left %s sessions, and now there are %s", human.Count(c.LeftSessions), human.Count(c.HashSessions)))
	}
	if b.tooMany(c.LeftStreams-c.Streams, c.LeftStreams) {
		why = append(why, fmt.Sprintf("the last run left %s streams, and now there are %s", human.Count(c.LeftStreams), human.Count(c.Streams)))
	}
	return strings.Join(why, "; ")
}

func (b Brake) tooMany(part, whole int64) bool {
	return part > b.Min && float64(part) > b.Share*float64(whole)
}

// stands decides, of a decision that the brake judged to be too much, since
// when it has stood: a decision to remove clearly more is another one.
func (b Brake) stands(c Counts, held buffer.Facts, now time.Time) time.Time {
	removals := c.Expire + c.Retire
	since, ok := held[heldSince]
	if before := held[heldRemovals]; !ok || removals > before+max(b.Min, before/10) {
		return now
	}
	return time.UnixMilli(since).UTC()
}

// letsGo reports whether a decision has stood for long enough.
func (b Brake) letsGo(since, now time.Time) bool {
	return b.Hold > 0 && now.Sub(since) >= b.Hold
}
