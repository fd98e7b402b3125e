package sweep

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/trim"
)

// This file trims streams to their limits of bytes. Only whole macro nodes free
// memory, and their sizes differ: so a stream is measured, loses what its oldest
// entries say is too much, and is measured again, for a few rounds.

// maxRounds is how often a run measures and trims a stream.
const maxRounds = 32

// oversized is a stream whose entries take more memory than its policy allows.
type oversized struct {
	*stream
	memory buffer.EntryMemory
	// deleted is how many bytes entries that were deleted by themselves (XDEL) take
	// at most: they go with the others of their macro node, unseen.
	deleted int64
	// node is what a macro node takes in the mean, in bytes.
	node int64
	// whole: the next round is to take all that is too much.
	whole bool
	// last: there is no other round for it.
	last bool
}

// sizes say which streams were measured.
type sizes struct {
	// ran: a run has measured all streams.
	ran bool
	// turn, unless it is nil, are the streams that were measured since the time of a
	// run did not suffice for all: they wait for the others.
	turn map[string]bool
}

// Measuring takes no more than so much of a run, and a part of what else it takes.
const (
	leastMeasuring = 20 * time.Millisecond
	measuringPart  = 4
)

// end ends a run. Where it left streams out, the next runs begin with those.
func (s *sizes) end(measured map[string]bool, leftOut bool) {
	s.ran = true
	if !leftOut {
		s.turn = nil
		return
	}
	if s.turn == nil {
		s.turn = make(map[string]bool)
	}
	maps.Copy(s.turn, measured)
}

// byBytes is what a run does about limits of bytes.
type byBytes struct {
	oversized []*oversized
	// measured are the streams that were measured in this run.
	measured map[string]bool
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
		due := !c.failed && c.policy.BytesLimit() > 0 && c.length() > 0 && !r.bytes.measured[c.name] && !r.s.sizes.turn[c.name]
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
		r.bytes.measured[strings.Clone(c.name)] = true
		if c.failed || memories[i].Bytes <= c.policy.MaxBytes {
			rest = append(rest, c)
			continue
		}
		kept := *c // the page is used again
		o := &oversized{stream: &kept}
		o.measuredAs(memories[i])
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
		if m.Uncounted && m.Err == nil {
			if *m, err = r.s.store.EstimateEntryMemory(ctx, c.name, *m); err != nil {
				return nil, err
			}
		}
		if m.Err != nil {
			r.tally.failed(c.name, m.Err)
			c.failed = true
		}
	}
	return memories, nil
}

// measuredAs takes in what a stream takes.
func (o *oversized) measuredAs(m buffer.EntryMemory) {
	o.memory, o.stats.Bytes = m, m.Bytes
	o.stats.OldEntries = max(0, o.stats.OldEntries-o.since)
	o.measured(m.Length)
}

// over is by how many bytes a stream is over its limit. What some of the entries
// say has to be so by more than it may be wrong.
func (o *oversized) over() int64 {
	over := o.memory.Bytes - o.policy.MaxBytes
	if o.memory.Sampled && over < o.policy.MaxBytes/10 {
		return 0
	}
	return max(0, over)
}

// aim is how many bytes the next round is to free. The sizes of entries do not say
// to the byte what their macro nodes take: so not all of what is much goes at once.
func (o *oversized) aim() int64 {
	over := o.over()
	if o.whole || over <= o.policy.MaxBytes/4 {
		return over
	}
	return over / 4 * 3
}

// mayTakeMore reports whether a round in which no whole macro node could go was not to
// take all; the next one is.
func (o *oversized) mayTakeMore() bool {
	all := o.whole || o.aim() == o.over()
	o.whole = true
	return !all
}

// trimBytes trims the oversized streams, and settles them.
func (r *run) trimBytes(ctx context.Context) error {
	for part := range slices.Chunk(r.bytes.oversized, maxBatch) {
		if err := r.prepare(ctx, part); err != nil {
			return err
		}
	}
	streams := slices.Clone(r.bytes.oversized)
	for round := 0; round < maxRounds && len(streams) > 0 && !isLate(r.until); round++ {
		trimmed, err := r.trimRound(ctx, streams)
		if err != nil {
			return err
		}
		if err := r.measureAgain(ctx, trimmed); err != nil {
			return err
		}
		streams = slices.DeleteFunc(trimmed, func(o *oversized) bool { return o.failed || o.last || o.over() == 0 })
	}
	return r.settleOversized(ctx)
}

// prepare finds out what else is to be known of oversized streams.
func (r *run) prepare(ctx context.Context, streams []*oversized) error {
	var aged []*stream
	var names []string
	for _, o := range streams {
		if o.policy.MinAge > 0 && o.stats.Info.LastID.IsZero() {
			aged = append(aged, o.stream)
		}
		names = append(names, o.name)
	}
	if err := r.fetchLastIDs(ctx, aged); err != nil {
		return err
	}
	infos, err := r.s.store.Infos(ctx, names)
	if err != nil {
		return err
	}
	for i, o := range streams {
		info := infos[i]
		if info.Err != nil {
			r.fail(o, info.Err)
			continue
		}
		o.node = o.memory.Bytes / max(1, info.Nodes)
		if o.over() == 0 {
			continue
		}
		// It says why, whatever goes.
		step := trim.Step{By: trim.ByBytes, Over: 1, Why: trim.Why{Bytes: o.memory.Bytes, MaxBytes: o.policy.MaxBytes}}
		o.cut.Stream, o.cut.Steps = o.name, append(slices.Clone(o.cut.Steps), step)
		if o.deleted, err = r.deletedBytes(ctx, o, info); err != nil {
			return err
		}
	}
	return nil
}

// deletedBytes is how many bytes deleted entries take at most. Since Redis 7.0 a
// server knows whether an entry was ever deleted from among those that stay; else it
// is what is counted beyond the ones that are there. What was sampled counts only
// those.
func (r *run) deletedBytes(ctx context.Context, o *oversized, info buffer.StreamInfo) (int64, error) {
	if o.memory.Sampled || info.Added >= 0 && info.Deleted.Less(info.First) {
		return 0, nil
	}
	there, err := r.s.store.EstimateEntryMemory(ctx, o.name, buffer.EntryMemory{})
	if err != nil {
		return 0, err
	}
	if there.Err != nil {
		r.fail(o, there.Err)
	}
	return max(0, o.memory.Bytes-there.Bytes), nil
}

// fail says that a stream could not be read; the others go on.
func (r *run) fail(o *oversized, err error) {
	r.tally.failed(o.name, err)
	o.failed = true
}

// trimRound takes from each stream what is too much, or most of it, and returns those
// that another round may take more from.
func (r *run) trimRound(ctx context.Context, streams []*oversized) (trimmed []*oversized, err error) {
	queued := make(map[string]*oversized, len(streams))
	for _, o := range streams {
		if o.failed || o.over() == 0 {
			continue
		}
		if err := r.countOverBytes(ctx, o, o.aim(), o.deleted); err != nil {
			return nil, err
		}
		step, over := trim.OverBytes(o.policy, o.stats, r.now)
		call := r.call(o.stream, step)
		// Where a call may not be sent as an approximate one, it would cut inside a
		// macro node, and free nothing.
		if !over || o.failed || r.s.store.AsSent(call).Exact {
			if !o.failed && o.mayTakeMore() {
				trimmed = append(trimmed, o)
			}
			continue
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
		went := c.removed > o.removed
		*o.stream = *c
		if went || o.mayTakeMore() {
			o.whole = !went
			trimmed = append(trimmed, o)
		}
	}
	return trimmed, err
}

// countOverBytes counts how many of a stream's oldest entries free so many bytes at
// most, if deleted ones take so many: those may all lie among them, or a macro node of
// them beside each.
func (r *run) countOverBytes(ctx context.Context, o *oversized, bytes, deleted int64) error {
	entries, err := r.s.store.OldestWithin(ctx, o.name, bytes-deleted, 0)
	o.entryBytes = max(1, (bytes-deleted)/max(1, entries))
	if node := max(r.s.nodes.Bytes, o.node) + nodeOverhead; err == nil && deleted > 0 && r.s.nodes.Bytes > 0 {
		var beside int64
		if beside, err = r.s.store.OldestWithin(ctx, o.name, bytes, node); beside > entries {
			entries, o.entryBytes = beside, max(1, bytes/beside-node)
		}
	}
	if redisconn.IsLost(err) {
		return err
	}
	if err != nil {
		r.fail(o, err)
	}
	o.stats.EntriesOverBytes = min(entries, o.length())
	return nil
}

// nodeOverhead is at most what leads to a macro node, in bytes.
const nodeOverhead = 512

// measureAgain measures streams after a round. One that lost entries and did not
// become smaller is left alone.
func (r *run) measureAgain(ctx context.Context, trimmed []*oversized) error {
	for part := range slices.Chunk(trimmed, maxBatch) {
		streams := make([]*stream, len(part))
		for i, o := range part {
			streams[i] = o.stream
		}
		memories, err := r.s.store.EntryMemories(ctx, namesOf(streams))
		if err != nil {
			return err
		}
		for i, o := range part {
			if err := memories[i].Err; err != nil {
				r.fail(o, err)
				continue
			}
			o.after(memories[i])
		}
	}
	return nil
}

// after takes in what a stream takes after a round. What was sampled is not sampled
// again: it falls by what Redis counts less, or else by the sizes of the entries that
// went.
func (o *oversized) after(m buffer.EntryMemory) {
	removed, before := o.since, o.memory
	if before.Sampled {
		freed := removed * o.entryBytes
		if m.Total > 0 && before.Total > 0 {
			freed = before.Total - m.Total
		}
		m.Bytes, m.Estimated, m.Sampled, m.Uncounted = max(0, before.Bytes-freed), true, true, false
	}
	if removed > 0 {
		freed := before.Bytes - m.Bytes
		o.last = freed <= 0 || m.Bytes-o.policy.MaxBytes < o.node
		o.learnDeleted(freed, removed*o.entryBytes)
	}
	o.measuredAs(m)
}

// learnDeleted takes in that entries freed more than they took by their sizes: deleted
// ones are gone with them, or there are some, if it is far more than macro nodes add.
func (o *oversized) learnDeleted(freed, took int64) {
	switch {
	case o.deleted > 0:
		o.deleted = max(0, o.deleted-max(0, freed-took))
	case freed > 2*took+o.policy.MaxBytes/20:
		o.deleted = o.memory.Bytes
	}
}

// settleOversized finds out what is still too much, and settles the streams.
func (r *run) settleOversized(ctx context.Context) error {
	done := make([]*stream, len(r.bytes.oversized))
	for i, o := range r.bytes.oversized {
		done[i] = o.stream
		o.stats.EntriesOverBytes = 0
		over := o.over()
		if over == 0 || o.failed {
			continue
		}
		if err := r.countOverBytes(ctx, o, over, 0); err != nil {
			return err
		}
		o.stats.EntriesOverBytes = max(1, o.stats.EntriesOverBytes)
	}
	r.bytes.oversized = nil
	return r.settle(ctx, done)
}

// byMemory reports whether a step frees memory beyond a limit of bytes.
func byMemory(s trim.Step) bool { return s.By == trim.ByBytes }
