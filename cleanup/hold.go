package cleanup

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst"
)

// This file asks the guard about what the first scan counted, and holds back, notes
// and releases what it stops.

// guardState is how the mass-deletion guard judged one run.
type guardState struct {
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

// askGuard asks the guard whether the run may remove what it counted.
func (r *run) askGuard(ctx context.Context) error {
	counts := r.counts()
	r.guard.counts = counts
	r.logLost(counts)
	held, err := r.heldBack(ctx)
	if err != nil {
		return err
	}
	why := r.o().Guard.Judge(counts)
	switch {
	case why != "" && !r.o().Force:
		err = r.hold(ctx, held, why)
	case why != "":
		r.o().Log.Warn("mass-deletion guard overridden", "why", why)
		fallthrough
	default:
		// What a pause keeps is not decided anew: the guard's time goes on.
		if len(held) > 0 && r.report.SessionsPaused+r.report.StreamsPaused == 0 {
			err = r.forgetHeld(ctx)
		}
	}
	if r.guard.stopped {
		r.logHeld()
	} else {
		r.warnStricter(counts, r.guard.left)
	}
	return err
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
	if n.fieldTTL {
		c.LeftSessions = 0
	}
	return c
}

// maxOpenLook is how many stale sessions are looked into for one that is not
// closed.
const maxOpenLook = 1000

// lookForOpen looks for a stale session that is not closed, as long as all
// sessions may be stale. Where there are more, the guard goes by their share.
func (r *run) lookForOpen(ctx context.Context, stale []registry.Session) error {
	n := &r.found.sessions
	if n.open || n.stale < n.all-r.unjudged() || n.stale > max(maxOpenLook, r.o().Guard.Min) || r.o().Guard.Share >= 1 {
		return nil
	}
	open, err := r.anyOpen(ctx, stale)
	n.open = open
	return err
}

// anyOpen reports whether one of the sessions is not closed by its Session JSON.
func (r *run) anyOpen(ctx context.Context, sessions []registry.Session) (bool, error) {
	for part := range slices.Chunk(sessions, jsonBatch) {
		jsons, err := r.store.SessionJSONs(ctx, part)
		if err != nil {
			return false, err
		}
		for _, json := range jsons {
			if !burst.Closed([]byte(json)) {
				return true, nil
			}
		}
	}
	return false, nil
}

// heldInMemory is the note of a held decision where Redis has no memory left for
// one. It lasts as long as the process, and counts only while run after run
// comes to that decision: it may be another replica that cleans up meanwhile.
type heldInMemory struct {
	note buffer.StateFields
	// confirmed is when a run last came to the decision.
	confirmed time.Time
}

// heldBack is the note of the decision that the guard holds back, empty if there
// is none. What is kept in memory is younger than what Redis may have.
func (r *run) heldBack(ctx context.Context) (buffer.StateFields, error) {
	if r.now.Sub(r.c.memory.confirmed) > r.o().Guard.Hold {
		r.c.memory = heldInMemory{}
	}
	if r.c.memory.note != nil {
		return r.c.memory.note, nil
	}
	return r.store.Held(ctx)
}

// forgetHeld forgets the decision that was held back.
func (r *run) forgetHeld(ctx context.Context) error {
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
	if stands && r.o().Guard.releases(since, r.now) {
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
	r.report.Guard, r.report.GuardSince = why, since.UTC()
	if r.o().Guard.Hold > 0 {
		r.report.GuardUntil = since.UTC().Add(r.o().Guard.Hold)
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
	r.report.Guard += "; Redis has no memory left to note since when"
	r.o().Log.Warn("cannot note the held decision", "hold", r.o().Guard.Hold, "to_force", ForceCommand,
		"reason", "Redis takes no note: the guard releases by itself only where this process runs on, or once the note can be kept")
	return nil
}

// ForceCommand overrides the guard.
const ForceCommand = "streamkeeper once --force cleanup"

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
	if !r.report.GuardUntil.IsZero() {
		until = r.report.GuardUntil.Format(time.RFC3339)
	}
	r.o().Log.Warn("mass-deletion guard holds removals back", "why", r.report.Guard, "since", r.report.GuardSince.Format(time.RFC3339), "until", until,
		"sessions", n.sessions.stale, "streams", n.retire+n.drop, "examples", texts, "to_force", ForceCommand)
}
