package cleanup

import (
	"context"
	"fmt"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// heldInMemory is the note of a held decision where Redis has no memory left for
// one. It lasts as long as the process, and counts only while run after run
// comes to that decision: it may be another replica that cleans up meanwhile.
type heldInMemory struct {
	note buffer.StateFields
	// confirmed is when a run last came to the decision.
	confirmed time.Time
}

// guard is how the mass-deletion guard judged one run.
type guard struct {
	// counts are what it judged, and left what the run before had left of the
	// same keys and patterns.
	counts Counts
	left   buffer.StateFields
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
	r.logLost(counts)
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
func (r *run) heldBack(ctx context.Context) (buffer.StateFields, error) {
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
func (r *run) hold(ctx context.Context, held buffer.StateFields, why string) error {
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
func (r *run) noteHeld(ctx context.Context, held buffer.StateFields) error {
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

// logHeld reports what the guard holds back.
func (r *run) logHeld() {
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
func (r *run) warnStricter(c Counts, left buffer.StateFields) {
	stricter := func(fact string, now time.Duration) bool {
		before, known := left[fact]
		return known && now.Milliseconds() < before
	}
	if !stricter(leftExpireAfter, r.o().Limits.ExpireAfter) && !stricter(leftRetireAfter, r.o().Limits.RetireAfter) || c.Expire+c.Retire == 0 {
		return
	}
	r.o().Log.Warn("limits are stricter than before", "sessions", c.Expire, "streams", c.Retire)
}

// logLost says that the set of names is empty although no run left it so.
func (r *run) logLost(c Counts) {
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
	facts := buffer.StateFields{
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
