package cleanup

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// Brake is the mass-deletion guard: it stops a run that would remove so much
// that an accident is more likely than a decision.
type Brake struct {
	// Share of all sessions, or of all streams, that one run may remove; 1
	// turns the guard off.
	Share float64
	// Min is a number of removals below which the share does not matter.
	Min int64
	// Hold is how long the same decision must have stood for the guard to
	// release it by itself; 0 means never.
	Hold time.Duration
}

// DefaultBrake stops a run that would remove more than half of more than 20,
// for an hour.
var DefaultBrake = Brake{Share: 0.5, Min: 20, Hold: time.Hour}

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

// The members of the Hashes in which a run leaves word for the next.
const (
	leftSessions    = "sessions"
	leftStreams     = "streams"
	leftExpireAfter = "expire_after_ms"
	leftRetireAfter = "retire_after_ms"
	// leftLost is how many names the set held before it was lost.
	leftLost = "streams_lost"
	// leftOverflow is since when sessions that cannot be read may own any stream,
	// 0 if they do not.
	leftOverflow = "unreadable_since_ms"

	heldSince    = "since_ms"
	heldExpire   = "expire"
	heldRetire   = "retire"
	heldSessions = "sessions_kept"
	heldStreams  = "streams_kept"

	// factScope tells of which keys, layouts and patterns the counts are.
	factScope = "scope"
)

// all is from how many on the removal of every single one needs a reason.
const all = 3

// Judge says why the counts are too high, "" if they are not.
func (b Brake) Judge(c Counts) string {
	if b.Share >= 1 {
		return ""
	}
	var why []string
	judged := c.Sessions - c.Postponed
	switch {
	case b.tooMany(c.Expire, judged):
		why = append(why, fmt.Sprintf("%s of %s sessions would expire", human.Count(c.Expire), human.Count(judged)))
	case c.Expire >= all && c.Expire == judged && c.Open:
		why = append(why, fmt.Sprintf("all %s sessions would expire, and not all of them are closed", human.Count(c.Expire)))
	}
	switch {
	case b.tooMany(c.Retire, c.Streams):
		why = append(why, fmt.Sprintf("%s of %s streams would be removed", human.Count(c.Retire), human.Count(c.Streams)))
	case c.Retire >= all && c.Retire == c.Streams && c.Sessions > c.Expire:
		why = append(why, fmt.Sprintf("all %s streams would be removed, while sessions remain", human.Count(c.Retire)))
	}
	if b.tooMany(c.LeftSessions-c.Lasting, c.LeftSessions) {
		why = append(why, fmt.Sprintf("the last run left %s sessions, and now there are %s", human.Count(c.LeftSessions), human.Count(c.Lasting)))
	}
	if b.tooMany(c.LeftStreams-c.Streams, c.LeftStreams) {
		why = append(why, fmt.Sprintf("the last run left %s streams, and now there are %s", human.Count(c.LeftStreams), human.Count(c.Streams)))
	}
	return strings.Join(why, "; ")
}

func (b Brake) tooMany(part, whole int64) bool {
	return part > b.Min && float64(part) > b.Share*float64(whole)
}

// held is the note of a decision that the guard holds back from now on.
func (c Counts) held(now time.Time, scope int64) buffer.Facts {
	f := buffer.Facts{
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
func (c Counts) stands(held buffer.Facts, scope int64) (since time.Time, ok bool) {
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
func (b Brake) releases(since, now time.Time) bool {
	return b.Hold > 0 && now.Sub(since) >= b.Hold
}

// heldInMemory is the note of a held decision where Redis has no memory left for
// one. It lasts as long as the process, and counts only while run after run
// comes to that decision: it may be another replica that cleans up meanwhile.
type heldInMemory struct {
	note buffer.Facts
	// confirmed is when a run last came to the decision.
	confirmed time.Time
}

// guard is how the mass-deletion guard judged one run.
type guard struct {
	// counts are what it judged, and left what the run before had left of the
	// same keys and patterns.
	counts Counts
	left   buffer.Facts
	// stopped: nothing may be removed; released: a decision that was held back
	// is carried out.
	stopped, released bool
	// lost is how many names the set held before it was lost, 0 if it was not.
	lost int64
}

// counts are what the guard judges. What the last run left of other keys or
// patterns cannot be compared.
func (r *run) counts() Counts {
	n := r.found.sessions
	c := Counts{
		Sessions: n.all, Postponed: r.unjudged(), Expire: n.stale, Open: n.open,
		Streams: r.report.Streams, Retire: r.found.retire + r.found.drop,
		Lasting: n.lasting, LastingExpire: n.lastingStale,
		LeftSessions: r.guard.left[leftSessions], LeftStreams: r.guard.left[leftStreams], names: r.found.names,
	}
	if n.expiring {
		c.LeftSessions = 0
	}
	return c
}

// judge asks the guard whether the run may remove what it counted.
func (r *run) judge(ctx context.Context) error {
	counts := r.counts()
	r.guard.counts = counts
	r.tellLost(counts)
	held, err := r.heldBack(ctx)
	if err != nil {
		return err
	}
	why := r.o().Brake.Judge(counts)
	switch {
	case why != "" && !r.o().Force:
		err = r.hold(ctx, held, why)
	case why != "":
		r.o().Log.Warn("mass-deletion guard overridden", "why", why)
		fallthrough
	default:
		// What a pause keeps is not decided anew: the guard's time goes on.
		if len(held) > 0 && r.report.SessionsPaused+r.report.StreamsPaused == 0 {
			err = r.drop(ctx)
		}
	}
	if !r.guard.stopped {
		r.warnStricter(counts, r.guard.left)
	}
	return err
}

// heldBack is the note of the decision that the guard holds back, empty if there
// is none. What is kept in memory is younger than what Redis may have.
func (r *run) heldBack(ctx context.Context) (buffer.Facts, error) {
	if r.now.Sub(r.c.memory.confirmed) > r.o().Brake.Hold {
		r.c.memory = heldInMemory{}
	}
	if r.c.memory.note != nil {
		return r.c.memory.note, nil
	}
	return r.store.Held(ctx)
}

// drop forgets the decision that was held back.
func (r *run) drop(ctx context.Context) error {
	if r.dry() {
		return nil
	}
	r.c.memory = heldInMemory{}
	_, err := r.store.SetHeld(ctx, nil)
	return err
}

// hold stops the run until the decision has stood for long enough.
func (r *run) hold(ctx context.Context, held buffer.Facts, why string) error {
	since, stands := r.guard.counts.stands(held, r.store.Scope())
	if stands && r.o().Brake.releases(since, r.now) {
		// The note stays until the decision is carried out: a run that is killed
		// is followed by one that need not wait again.
		r.guard.released = true
		r.o().Log.Warn("mass-deletion guard released", "why", why, "since", since.Format(time.RFC3339))
		return nil
	}
	r.guard.stopped = true
	if !stands {
		since = r.now
	}
	r.report.Brake, r.report.BrakeSince = why, since.UTC()
	if r.o().Brake.Hold > 0 {
		r.report.BrakeUntil = since.UTC().Add(r.o().Brake.Hold)
	}
	if r.dry() || stands && r.c.memory.note == nil {
		return nil
	}
	if !stands {
		held = r.guard.counts.held(r.now, r.store.Scope())
	}
	return r.noteHeld(ctx, held)
}

// noteHeld notes the decision that is held back, in Redis or else in memory.
func (r *run) noteHeld(ctx context.Context, held buffer.Facts) error {
	noted, err := r.store.SetHeld(ctx, held)
	if noted || err != nil {
		r.c.memory = heldInMemory{}
		return err
	}
	r.c.memory = heldInMemory{held, r.now}
	r.report.Brake += "; Redis has no memory left to note since when"
	r.o().Log.Warn("cannot note the held decision", "hold", r.o().Brake.Hold, "to_force", forceCommand,
		"reason", "Redis takes no note: the guard releases by itself only where this process runs on, or once the note can be kept")
	return nil
}

// forceCommand overrides the guard.
const forceCommand = "streamkeeper once --force cleanup"

// tellHeld reports what the guard holds back.
func (r *run) tellHeld() {
	n, examples := r.found, r.found.examples.actions
	r.report.Held = &Held{Expire: n.sessions.stale, Retire: n.retire, Drop: n.drop, Examples: examples}
	if r.dry() {
		return
	}
	var texts []string
	for _, a := range examples[:min(len(examples), maxExamples)] {
		name := a.Stream
		if a.Session != "" {
			name = a.Session
		}
		texts = append(texts, fmt.Sprintf("%s %s: %s", a.Kind, buffer.Escape(name), a.Reason))
	}
	until := "forced"
	if !r.report.BrakeUntil.IsZero() {
		until = r.report.BrakeUntil.Format(time.RFC3339)
	}
	r.o().Log.Warn("mass-deletion guard holds removals back", "why", r.report.Brake, "since", r.report.BrakeSince.Format(time.RFC3339), "until", until,
		"sessions", n.sessions.stale, "streams", n.retire+n.drop, "examples", texts, "to_force", forceCommand)
}

// warnStricter says what goes because a limit was lowered since the last run.
func (r *run) warnStricter(c Counts, left buffer.Facts) {
	stricter := func(fact string, now time.Duration) bool {
		before, known := left[fact]
		return known && now.Milliseconds() < before
	}
	if !stricter(leftExpireAfter, r.o().Limits.ExpireAfter) && !stricter(leftRetireAfter, r.o().Limits.RetireAfter) || c.Expire+c.Retire == 0 {
		return
	}
	r.o().Log.Warn("limits are stricter than before", "sessions", c.Expire, "streams", c.Retire)
}

// tellLost says that the set of names is empty although no run left it so.
func (r *run) tellLost(c Counts) {
	if r.found.listed > 0 {
		return
	}
	lost := max(c.LeftStreams, r.guard.left[leftLost])
	if len(r.guard.left) == 0 {
		lost = r.c.streams // our own notes may be lost as well
	}
	if lost >= all {
		r.guard.lost = lost
		r.report.Lost = fmt.Sprintf("the set of stream names is empty, and it held %s: "+
			"what sessions name is listed again, the rest once producers list it", human.Count(lost))
		r.o().Log.Warn("stream names are lost", "names", lost, "remedy", r.report.Lost)
	}
}

// leave notes what a complete run left behind.
func (r *run) leave(ctx context.Context) error {
	if r.guard.released {
		if err := r.drop(ctx); err != nil {
			return err
		}
	}
	return r.setLeft(ctx, r.found.sessions.lasting-r.acted.lasting,
		r.report.Streams-r.report.StreamsRetired-r.report.NamesDropped+r.report.StreamsRestored)
}

func (r *run) setLeft(ctx context.Context, sessions, streams int64) error {
	if !r.dry() {
		r.c.streams = streams
	}
	facts := buffer.Facts{
		leftSessions: sessions, leftStreams: streams, factScope: r.store.Scope(),
		leftExpireAfter: r.o().Limits.ExpireAfter.Milliseconds(), leftRetireAfter: r.o().Limits.RetireAfter.Milliseconds(),
	}
	facts[leftOverflow] = 0
	if r.unreadable.Overflow() {
		facts[leftOverflow] = r.overflowSince().UnixMilli()
	}
	r.flows.nextTurns().noteIn(facts)
	if streams == 0 && r.guard.lost > 0 {
		facts[leftLost] = r.guard.lost
	}
	return r.store.SetLeft(ctx, facts)
}
