package sweep

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/trim"
)

// This file trims streams to their limits of bytes. Only whole macro nodes free
// memory, and what they hold beside the entries that are there is not known. So a round
// takes no more than what is too much even if each entry frees the most that it can, but
// for a little; then the stream is measured again. Where Redis cannot count, as many of
// the newest entries stay as take the limit by the least that each can take.

// maxRounds is how often a run measures and trims a stream.
const maxRounds = 100

// oversized is a stream whose entries take more memory than its policy allows.
type oversized struct {
	*stream
	memory buffer.EntryMemory
	// keep, where Redis cannot count, is how many of the newest entries stay.
	keep int64
	// nodes is how many macro nodes there are, and node what one takes in the mean.
	nodes, node int64
	// deleted: there may be entries that were deleted by themselves (XDEL). They take
	// memory until their macro node is empty, and go with it, unseen.
	deleted bool
	// weight is how much entries free for each byte that they take by their sizes: about
	// so much until a round has told.
	weight float64
	// fell is by how much the last round made it smaller, 0 if that was not measured,
	// and reported how many bytes were reported as freed before that round.
	fell, reported int64
	// last: there is no other round for it.
	last bool
}

// takeOversized takes out of the streams that are done those whose entries take too
// much memory: they are not done yet.
func (r *run) takeOversized(ctx context.Context, done []*stream) ([]*stream, error) {
	rest := make([]*stream, 0, len(done))
	var limited []*stream
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
		m := memories[i]
		if c.failed || !m.over(c.policy) {
			rest = append(rest, c)
			continue
		}
		kept := *c // the page is used again
		o := &oversized{stream: &kept, keep: m.keep}
		o.measuredAs(m.EntryMemory)
		o.reported = o.freed
		r.bytes.oversized = append(r.bytes.oversized, o)
	}
	return rest, nil
}

// measuredAs takes in what a stream takes.
func (o *oversized) measuredAs(m buffer.EntryMemory) {
	o.memory, o.stats.Bytes = m, m.Bytes
	o.stats.OldEntries = max(0, o.stats.OldEntries-o.since)
	o.recordLength(m.Length)
}

// over is by how many bytes a stream is over its limit.
func (o *oversized) over() int64 {
	if o.keep > 0 {
		return int64(o.meanBytes() * float64(max(0, o.length()-o.keep)))
	}
	return max(0, o.memory.Bytes-o.policy.MaxBytes)
}

// isLittle reports whether what is over the limit is hardly a macro node.
func (o *oversized) isLittle() bool {
	over := o.over()
	return over < o.node && over < o.policy.MaxBytes/50
}

// meanBytes is what an entry takes in the mean.
func (o *oversized) meanBytes() float64 {
	return float64(o.memory.Bytes) / float64(max(1, o.memory.Length))
}

// trimBytes trims the oversized streams, and finishes them.
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
	return r.finishOversized(ctx)
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
		o.nodes, o.node, o.weight = info.Nodes, o.memory.Bytes/max(1, info.Nodes), weightOf(o.memory.Bytes, info.Nodes)
		o.deleted = mayHideDeleted(info)
		// It says why, whatever goes.
		step := trim.Step{By: trim.ByBytes, Over: 1, Why: trim.Why{Bytes: o.memory.Bytes, MaxBytes: o.policy.MaxBytes}}
		o.cut.Stream, o.cut.Steps = o.name, append(slices.Clone(o.cut.Steps), step)
	}
	return nil
}

// mayHideDeleted reports whether entries may have been deleted from among those that are
// there. Since 7.0 Redis knows.
func mayHideDeleted(info buffer.StreamInfo) bool {
	return info.Added < 0 || !info.Deleted.Less(info.First)
}

// fail says that a stream could not be read; the others go on.
func (r *run) fail(o *oversized, err error) {
	r.tally.failed(o.name, err)
	o.failed = true
}

// trimRound takes from each stream what may go now, and returns those that another
// round may take more from.
func (r *run) trimRound(ctx context.Context, streams []*oversized) (trimmed []*oversized, err error) {
	queued := make(map[string]*oversized, len(streams))
	for _, o := range streams {
		if o.failed || o.over() == 0 || o.isLittle() {
			continue
		}
		if err := r.countOverBytes(ctx, o); err != nil {
			return nil, err
		}
		step, over := trim.OverBytes(o.policy, &o.stats, r.now)
		call := r.requestFor(o.stream, step)
		// Where a call may not be sent as an approximate one, it would cut inside a
		// macro node, and free nothing.
		if !over || o.failed || r.s.store.AsSent(call).Exact {
			if !o.failed && o.forgetsWeight() {
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
		if went || o.forgetsWeight() {
			trimmed = append(trimmed, o)
		}
	}
	return trimmed, err
}

// forgetsWeight forgets what rounds have told of entries that are gone, and reports
// whether there was something to forget.
func (o *oversized) forgetsWeight() bool {
	known := o.weight > 1
	o.weight = 1
	return known && o.keep == 0
}

// Where a macro node begins Redis counts up to so many bytes for what leads to it.
const nodeOverhead = 600

// slack is how much of its limit a stream may lose more than it has to, in parts: so
// many entries may free more than they are thought to.
const slack = 10

// countOverBytes counts the oldest entries that go in the next round.
func (r *run) countOverBytes(ctx context.Context, o *oversized) error {
	if o.keep > 0 {
		o.stats.EntriesOverBytes, o.entryBytes = max(0, o.length()-o.keep), max(1, int64(o.meanBytes()))
		return nil
	}
	over := o.over()
	w := buffer.Within{Bytes: int64(float64(over) / o.weight), Most: over + o.policy.MaxBytes/slack, Beside: nodeOverhead, Shared: nodeOverhead * o.nodes}
	if o.deleted {
		if w.Beside += r.s.nodes.Bytes; r.s.nodes.Bytes == 0 {
			w.Beside += 2 * o.node // a node has no limit of bytes
		}
		w.Shared = w.Beside * o.length()
	}
	taken, err := r.s.store.OldestWithin(ctx, o.name, w)
	if redisconn.IsLost(err) {
		return err
	}
	if err != nil {
		r.fail(o, err)
	}
	o.stats.EntriesOverBytes = max(0, min(taken.Entries, o.length()-1))
	o.entryBytes = max(1, taken.Bytes/max(1, taken.Entries))
	return nil
}

// weightOf is about how much entries free for each byte that they take by their sizes,
// where a stream takes so many bytes in so many macro nodes.
func weightOf(bytes, nodes int64) float64 {
	beside := nodes * nodeOverhead
	return min(8, 1.05+float64(beside)/float64(max(1, bytes-beside)))
}

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
			r.tellFreed(o)
		}
	}
	return nil
}

// tellFreed adds what a round freed more than the least that its entries can take, which
// was said when they went.
func (r *run) tellFreed(o *oversized) {
	if more := o.fell - (o.freed - o.reported); more > 0 {
		o.freed += more
		r.tally.freed(o.name, trim.ByBytes, more)
	}
	o.reported, o.fell = o.freed, 0
}

// after takes in what a stream takes after a round. Where Redis cannot count, there
// was all to take in the first one.
func (o *oversized) after(m buffer.EntryMemory) {
	removed, before := o.since, o.memory
	if o.keep > 0 {
		m.Bytes, m.Estimated, m.Sampled, m.Uncounted = int64(o.meanBytes()*float64(m.Length)), true, true, false
		o.last = true
	} else if removed > 0 {
		freed := before.Bytes - m.Bytes
		o.fell = freed
		o.last = freed <= 0 || m.Uncounted
		if least := removed * o.entryBytes; least > 0 {
			o.weight = max(1, float64(freed)/float64(least))
		}
	}
	o.measuredAs(m)
}

// finishOversized finds out what is still too much, and finishes the streams.
func (r *run) finishOversized(ctx context.Context) error {
	done := make([]*stream, len(r.bytes.oversized))
	for i, o := range r.bytes.oversized {
		done[i] = o.stream
		o.stats.EntriesOverBytes = 0
		if o.failed || o.over() == 0 {
			continue
		}
		o.stats.EntriesOverBytes = max(1, min(o.length(), int64(float64(o.over())/max(1, o.meanBytes()))))
	}
	r.bytes.oversized = nil
	return r.finish(ctx, done)
}

// byMemory reports whether a step frees memory beyond a limit of bytes.
func byMemory(s trim.Step) bool { return s.By == trim.ByBytes }
