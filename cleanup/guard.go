package cleanup

import (
	"fmt"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// Guard is the mass-deletion guard: it stops a run that would remove so much that an
// accident is more likely than a decision. Its settings, its key and what shows it
// outside this package are named brake.
type Guard struct {
	// Share of all sessions, or of all streams, that one run may remove; 1
	// turns the guard off.
	Share float64
	// Min is a number of removals below which the share does not matter.
	Min int64
	// Hold is how long the same decision must have stood for the guard to
	// release it by itself; 0 means never.
	Hold time.Duration
}

// DefaultGuard stops a run that would remove more than half of more than 20,
// for an hour.
var DefaultGuard = Guard{Share: 0.5, Min: 20, Hold: time.Hour}

// Counts are what the guard judges.
type Counts struct {
	Sessions, Expire int64
	// Postponed are those of the sessions of which this run does not know
	// whether they are to expire: they say nothing for the others.
	Postponed int64
	// Open: one of those to be removed is not closed by its Session JSON.
	Open            bool
	Streams, Retire int64 // Retire takes in names to be dropped
	// Lasting are the sessions that do not expire by themselves, LastingExpire
	// those of them to be removed, and LeftSessions and LeftStreams what the last
	// run left of those and of the streams; 0 if not known.
	Lasting, LastingExpire, LeftSessions, LeftStreams int64
	// names are those of what is to be removed.
	names sketch
}

// The members of the note of a decision that is held back.
const (
	heldSince    = "since_ms"
	heldExpire   = "expire"
	heldRetire   = "retire"
	heldSessions = "sessions_kept"
	heldStreams  = "streams_kept"
)

// all is from how many on the removal of every single one needs a reason.
const all = 3

// Judge says why the counts are too high, "" if they are not.
func (g Guard) Judge(c Counts) string {
	if g.Share >= 1 {
		return ""
	}
	var why []string
	judged := c.Sessions - c.Postponed
	switch {
	case g.tooMany(c.Expire, judged):
		why = append(why, fmt.Sprintf("%s of %s sessions would expire", human.Count(c.Expire), human.Count(judged)))
	case c.Expire >= all && c.Expire == judged && c.Open:
		why = append(why, fmt.Sprintf("all %s sessions would expire, and not all of them are closed", human.Count(c.Expire)))
	}
	switch {
	case g.tooMany(c.Retire, c.Streams):
		why = append(why, fmt.Sprintf("%s of %s streams would be removed", human.Count(c.Retire), human.Count(c.Streams)))
	case c.Retire >= all && c.Retire == c.Streams && c.Sessions > c.Expire:
		why = append(why, fmt.Sprintf("all %s streams would be removed, while sessions remain", human.Count(c.Retire)))
	}
	if g.tooMany(c.LeftSessions-c.Lasting, c.LeftSessions) {
		why = append(why, fmt.Sprintf("the last run left %s sessions, and now there are %s", human.Count(c.LeftSessions), human.Count(c.Lasting)))
	}
	if g.tooMany(c.LeftStreams-c.Streams, c.LeftStreams) {
		why = append(why, fmt.Sprintf("the last run left %s streams, and now there are %s", human.Count(c.LeftStreams), human.Count(c.Streams)))
	}
	return strings.Join(why, "; ")
}

func (g Guard) tooMany(part, whole int64) bool {
	return part > g.Min && float64(part) > g.Share*float64(whole)
}

// held is the note of a decision that the guard holds back from now on.
func (c Counts) held(now time.Time, scope int64) buffer.StateFields {
	f := buffer.StateFields{
		heldSince: now.UnixMilli(), heldExpire: c.Expire, heldRetire: c.Retire,
		heldSessions: c.Lasting - c.LastingExpire, heldStreams: c.Streams - c.Retire, factScope: scope,
	}
	c.names.noteIn(f)
	return f
}

// slack is how much a decision may change and still be the same: a tenth, or
// one where there are few, and never more than half.
func slack(count int64) int64 { return min(max(1, count/10), count/2) }

// stands says since when the decision that the guard judged to be too much has
// stood. One that removes more, or others, or leaves less, by more than the slack
// is another, and so is one about other keys or patterns.
func (c Counts) stands(held buffer.StateFields, scope int64) (since time.Time, ok bool) {
	ms, ok := held[heldSince]
	noted := c.held(time.Time{}, scope)
	grown := func(fact string) int64 { return noted[fact] - held[fact] }
	if !ok || held[factScope] != scope || grown(heldExpire) > slack(held[heldExpire]) || grown(heldRetire) > slack(held[heldRetire]) ||
		-grown(heldSessions) > slack(held[heldSessions]) || -grown(heldStreams) > slack(held[heldStreams]) ||
		!c.names.isSameAs(sketchOf(held), held[heldExpire]+held[heldRetire]) {
		return time.Time{}, false
	}
	return time.UnixMilli(ms).UTC(), true
}

// releases reports whether a decision has stood for long enough.
func (g Guard) releases(since, now time.Time) bool {
	return g.Hold > 0 && now.Sub(since) >= g.Hold
}

// ReleaseText ends a sentence about what the guard holds back with when that is
// released; empty where it never is.
func ReleaseText(until time.Time) string {
	if until.IsZero() {
		return ""
	}
	return "; what is still due at " + until.Format("2006-01-02 15:04 MST") + " goes then"
}
