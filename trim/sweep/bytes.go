package sweep

import (
	"context"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/trim"
)

// This file trims streams to their limits of bytes. Only whole macro nodes free
// memory, and their sizes differ: so a stream is measured, loses what its oldest
// entries say is too much, and is measured again, for a few rounds.

// maxRounds is how often a run measures and trims a stream.
const maxRounds = 10

// oversized is a stream whose entries take more memory than its policy allows.
type oversized struct {
	*stream
	memory buffer.EntryMemory
	// last: there is no other round for it.
	last bool
}

// sizes are what is known of the memory of streams, so that not all of them are
// measured in each run.
type sizes struct {
	known map[string]knownSize
	// ran: a run has measured all streams.
	ran bool
	// turn, unless it is zero, is when the first of the runs began that have to share
	// the streams: one that was measured since then waits for the others.
	turn time.Time
}

type knownSize struct {
	bytes, length int64
	at            time.Time // when that run began, by Redis's clock
}

const (
	// maxKnown is of how many streams a size is kept in mind.
	maxKnown = 200_000
	// knownFor is for how long a size is believed, as long as by the stream's length
	// it is below smallPart of the limit.
	knownFor  = 10 * time.Minute
	smallPart = 0.5
	// Measuring takes no more than so much, and a part of what else a run takes.
	leastMeasuring = 20 * time.Millisecond
	measuringPart  = 4
)

// waits reports whether a stream need not be measured in this run: it is known to
// be far from its limit, or others are before it.
func (s *sizes) waits(c *stream, now time.Time) bool {
	size, ok := s.known[c.name]
	if !ok {
		return false
	}
	if !s.turn.IsZero() && !size.at.Before(s.turn) {
		return true
	}
	if size.length == 0 || now.Sub(size.at) > knownFor {
		return false
	}
	return float64(size.bytes)/float64(size.length)*float64(c.length()) < smallPart*float64(c.policy.MaxBytes)
}

func (s *sizes) note(name string, m buffer.EntryMemory, now time.Time) {
	if _, ok := s.known[name]; ok || len(s.known) < maxKnown {
		s.known[name] = knownSize{m.Bytes, m.Length, now}
	}
}

// end ends a run that began at that time: what is no longer believed is forgotten,
// and where streams were left out, the next runs begin with those.
func (s *sizes) end(now time.Time, leftOut bool) {
	s.ran = true
	switch {
	case !leftOut:
		s.turn = time.Time{}
	case s.turn.IsZero():
		s.turn = now
	}
	for name, size := range s.known {
		if now.Sub(size.at) > 2*knownFor {
			delete(s.known, name)
		}
	}
}

// byBytes is what a run does about limits of bytes.
type byBytes struct {
	oversized []*oversized
	// found are the streams that were found oversized in this run.
	found map[string]bool
	// took is how long measuring took since the run began.
	began time.Time
	took  time.Duration
	// leftOut: the time did not suffice to measure all.
	leftOut bool
}

// mayMeasure reports whether there is time to measure. The first run measures all.
func (b *byBytes) mayMeasure(first bool) bool {
	if first || b.took <= leastMeasuring+time.Since(b.began)/measuringPart {
		return true
	}
	b.leftOut = true
	return false
}

// takeOversized takes out of the streams that are done those whose entries take too
// much memory: they are not done yet.
func (r *run) takeOversized(ctx context.Context, done []*stream) ([]*stream, error) {
	var rest, limited []*stream
	for _, c := range done {
		due := !c.failed && c.policy.BytesLimit() > 0 && c.length() > 0 && !r.bytes.found[c.name] && !r.s.sizes.waits(c, r.now)
		if due && r.bytes.mayMeasure(!r.s.sizes.ran) {
			limited = append(limited, c)
		} else {
			rest = append(rest, c)
		}
	}
	if len(limited) == 0 {
		return rest, nil
	}
	started := time.Now()
	memories, err := r.measureMemory(ctx, limited)
	r.bytes.took += time.Since(started)
	if err != nil {
		return nil, err
	}
	for i, c := range limited {
		m := memories[i]
		if c.failed || m.Bytes <= c.policy.MaxBytes {
			rest = append(rest, c)
			continue
		}
		kept := *c // the page is used again
		o := &oversized{stream: &kept}
		o.measuredAs(m)
		r.bytes.found[c.name] = true
		r.bytes.oversized = append(r.bytes.oversized, o)
	}
	return rest, nil
}

// measureMemory measures streams, by an estimate where Redis cannot count. One that
// cannot be measured has failed.
func (r *run) measureMemory(ctx context.Context, streams []*stream) ([]buffer.EntryMemory, error) {
	memories, err := r.s.store.EntryMemories(ctx, namesOf(streams))
	if err != nil {
		return nil, err
	}
	for i, c := range streams {
		m := &memories[i]
		if m.Uncounted {
			if *m, err = r.s.store.EstimateEntryMemory(ctx, c.name); err != nil {
				return nil, err
			}
		}
		if m.Err != nil {
			r.tally.failed(c.name, m.Err)
			c.failed = true
			continue
		}
		r.s.sizes.note(c.name, *m, r.now)
	}
	return memories, nil
}

// measuredAs takes in what a stream takes.
func (o *oversized) measuredAs(m buffer.EntryMemory) {
	o.memory, o.stats.Bytes = m, m.Bytes
	o.stats.OldEntries = max(0, o.stats.OldEntries-o.since)
	o.measured(m.Length)
}

// over is by how many bytes a stream is over its limit. What is estimated has to be
// so by more than the estimate may be wrong.
func (o *oversized) over() int64 {
	over := o.memory.Bytes - o.policy.MaxBytes
	if o.memory.Estimated && over < o.policy.MaxBytes/10 {
		return 0
	}
	return max(0, over)
}

// aim is how much of that goes in a round: what is much is approached in steps, as
// the sizes of entries do not tell exactly what they take.
func (o *oversized) aim() int64 {
	over := o.over()
	if over > o.policy.MaxBytes/5 {
		return over / 5 * 4
	}
	return over
}

// trimBytes trims the oversized streams, and settles them.
func (r *run) trimBytes(ctx context.Context) error {
	streams := r.bytes.oversized
	var aged []*stream
	for _, o := range streams {
		if o.policy.MinAge > 0 && o.stats.Info.LastID.IsZero() {
			aged = append(aged, o.stream)
		}
	}
	if err := r.fetchLastIDs(ctx, aged); err != nil {
		return err
	}
	for round := 0; round < maxRounds && len(streams) > 0 && !isLate(r.until); round++ {
		trimmed, err := r.trimRound(ctx, streams)
		if err != nil {
			return err
		}
		if err := r.measureAgain(ctx, trimmed); err != nil {
			return err
		}
		streams = slices.DeleteFunc(trimmed, func(o *oversized) bool { return o.failed || o.last })
	}
	return r.settleOversized(ctx)
}

// trimRound takes from each stream what its oldest entries say is too much, and
// returns those that lost some.
func (r *run) trimRound(ctx context.Context, streams []*oversized) (trimmed []*oversized, err error) {
	queued := make(map[string]*oversized, len(streams))
	for _, o := range streams {
		step, over, err := r.overBytes(ctx, o, o.aim())
		if err != nil {
			return nil, err
		}
		call := r.call(o.stream, step)
		// Where a call may not be sent as an approximate one, it would cut inside a
		// macro node, and free nothing.
		if !over || r.s.store.AsSent(call).Exact {
			continue
		}
		if !slices.ContainsFunc(o.cut.Steps, byMemory) {
			o.cut.Stream, o.cut.Steps = o.name, append(slices.Clone(o.cut.Steps), step)
		}
		queued[o.name] = o
		r.queue.add(o.stream, stepOf(step, call, 0))
	}
	done, err := r.drain(ctx)
	var others []backlog
	for _, b := range r.queue.take(nil) {
		if queued[b.stream.name] == nil {
			others = append(others, b)
			continue
		}
		done = append(done, &b.stream)
	}
	r.queue.put(others)
	for _, c := range done {
		o := queued[c.name]
		if c.removed > o.removed {
			trimmed = append(trimmed, o)
		}
		*o.stream = *c
	}
	return trimmed, err
}

// overBytes is the step that takes so many bytes from a stream; false if no entry is
// to go.
func (r *run) overBytes(ctx context.Context, o *oversized, bytes int64) (trim.Step, bool, error) {
	if o.failed || bytes == 0 {
		return trim.Step{}, false, nil
	}
	entries, err := r.s.store.OldestWithin(ctx, o.name, bytes)
	if redisconn.IsLost(err) {
		return trim.Step{}, false, err
	}
	if err != nil {
		r.tally.failed(o.name, err)
		o.failed = true
		return trim.Step{}, false, nil
	}
	o.stats.EntriesOverBytes = min(entries, o.length())
	o.entryBytes = max(1, bytes/max(1, o.stats.EntriesOverBytes))
	step, over := trim.OverBytes(o.policy, o.stats, r.now)
	return step, over, nil
}

// byMemory reports whether a step frees memory beyond a limit of bytes.
func byMemory(s trim.Step) bool { return s.By == trim.ByBytes }

// measureAgain measures streams that were trimmed. One that did not become smaller is
// left alone.
func (r *run) measureAgain(ctx context.Context, trimmed []*oversized) error {
	for part := range slices.Chunk(trimmed, maxBatch) {
		streams := make([]*stream, len(part))
		for i, o := range part {
			streams[i] = o.stream
		}
		memories, err := r.measureMemory(ctx, streams)
		if err != nil {
			return err
		}
		for i, o := range part {
			if !o.failed {
				o.last = memories[i].Bytes >= o.memory.Bytes
				o.measuredAs(memories[i])
			}
		}
	}
	return nil
}

// settleOversized finds out what is still too much, and settles the streams.
func (r *run) settleOversized(ctx context.Context) error {
	done := make([]*stream, len(r.bytes.oversized))
	for i, o := range r.bytes.oversized {
		done[i] = o.stream
		over := o.over()
		o.stats.EntriesOverBytes = 0
		if _, _, err := r.overBytes(ctx, o, over); err != nil {
			return err
		}
		if over > 0 && !o.failed {
			o.stats.EntriesOverBytes = max(1, o.stats.EntriesOverBytes)
		}
	}
	r.bytes.oversized = nil
	return r.settle(ctx, done)
}
