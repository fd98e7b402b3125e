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
	// HashSessions are the sessions that do not expire by themselves,
	// HashExpire those of them to be removed, and LeftSessions and LeftStreams
	// what the last run left of those and of the streams; 0 if not known.
	HashSessions, HashExpire, LeftSessions, LeftStreams int64
}

// The members of the Hashes in which a run leaves word for the next.
const (
	leftSessions    = "sessions"
	leftStreams     = "streams"
	leftExpireAfter = "expire_after_ms"
	leftRetireAfter = "retire_after_ms"

	heldSince    = "since_ms"
	heldExpire   = "expire"
	heldRetire   = "retire"
	heldSessions = "sessions_kept"
	heldStreams  = "streams_kept"
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

// held is the note of a decision that the brake holds back from now on.
func (c Counts) held(now time.Time) buffer.Facts {
	return buffer.Facts{
		heldSince: now.UnixMilli(), heldExpire: c.Expire, heldRetire: c.Retire,
		heldSessions: c.HashSessions - c.HashExpire, heldStreams: c.Streams - c.Retire,
	}
}

// stands says since when the decision that the brake judged to be too much has
// stood. One that removes clearly more, or leaves clearly less, is another.
func (b Brake) stands(c Counts, held buffer.Facts) (since time.Time, ok bool) {
	ms, ok := held[heldSince]
	noted := c.held(time.Time{})
	grown := func(fact string) int64 { return noted[fact] - held[fact] }
	slack := func(fact string) int64 { return max(b.Min, held[fact]/10) }
	if !ok || grown(heldExpire) > slack(heldExpire) || grown(heldRetire) > slack(heldRetire) ||
		-grown(heldSessions) > slack(heldSessions) || -grown(heldStreams) > slack(heldStreams) {
		return time.Time{}, false
	}
	return time.UnixMilli(ms).UTC(), true
}

// letsGo reports whether a decision has stood for long enough.
func (b Brake) letsGo(since, now time.Time) bool {
	return b.Hold > 0 && now.Sub(since) >= b.Hold
}
