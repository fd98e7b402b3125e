package cleanup

import (
	"context"
	"fmt"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// This file is about what a run leaves for the next, in Redis, and what the next
// makes of it.

// The members of the Hash in which a run leaves word for the next. The note of a held
// decision has factScope too.
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

	// factScope tells of which keys, layouts and patterns the counts are.
	factScope = "scope"
)

// readLeft reads what the last run left. That of other keys or patterns cannot be
// compared.
func (r *run) readLeft(ctx context.Context) error {
	left, err := r.store.Left(ctx)
	if left[factScope] == r.store.Scope() {
		r.guard.left = left
	}
	return err
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

// leave notes what a complete run left behind.
func (r *run) leave(ctx context.Context) error {
	if r.guard.released {
		if err := r.forgetHeld(ctx); err != nil {
			return err
		}
	}
	return r.setLeft(ctx, r.found.sessions.lasting-r.acted.lasting,
		r.report.Streams-r.report.StreamsRetired-r.report.NamesDropped+r.report.StreamsRestored)
}

// setLeft notes how many sessions and streams there are after a run, and under which
// limits.
func (r *run) setLeft(ctx context.Context, sessions, streams int64) error {
	if !r.dry() {
		r.c.streams = streams
	}
	facts := buffer.StateFields{
		leftSessions: sessions, leftStreams: streams, factScope: r.store.Scope(),
		leftExpireAfter: r.o().Limits.ExpireAfter.Milliseconds(), leftRetireAfter: r.o().Limits.RetireAfter.Milliseconds(),
	}
	facts[leftOverflow] = 0
	if r.streams.unreadable.Overflow() {
		facts[leftOverflow] = r.overflowSince().UnixMilli()
	}
	r.flows.nextTurns().noteIn(facts)
	facts[leftLost] = 0 // names that are back do not count again
	if streams == 0 {
		facts[leftLost] = r.guard.lost
	}
	return r.store.SetLeft(ctx, facts)
}
