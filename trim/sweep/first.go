package sweep

import (
	"context"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/trim"
)

// fewEntries is how many entries a call may always take.
const fewEntries = buffer.FewEntries

// nodeEntries is how many entries of a size, in bytes, a macro node holds by the
// server's present limits. A stream may have larger nodes, from other limits or
// another server, so this only says where to begin.
func nodeEntries(limits buffer.NodeLimits, entryBytes int64) int64 {
	return min(fewEntries/2, limits.EntriesPerNode(entryBytes))
}

// requestFor is the request for one step of a cut, with what protects entries from
// it: their age, and which consumer groups count. How much it removes at most is
// left to the caller.
func (r *run) requestFor(c *stream, s trim.Step) buffer.TrimRequest {
	request := buffer.TrimRequest{Stream: c.name, MaxLen: s.MaxLen, Before: s.Before, MinAgeFloor: s.MinAgeFloor}
	if r.s.o.RespectGroups {
		groups := r.groups.noted.Limits(c.name, r.s.o.GroupIdleAfter, r.now)
		request.Groups = &groups
	}
	return request
}

// trimKnown takes what is over a limit by a known number of entries: few in
// batches, or alone if they are more than a batch may free; many later, one
// stream at a time.
func (r *run) trimKnown(ctx context.Context, due []*stream) error {
	b := batch{run: r}
	for _, c := range due {
		for _, s := range c.cut.Steps {
			limit := r.s.pace.entries(c.entrySize(), nodeEntries(r.s.nodes, c.entrySize()))
			switch {
			case s.AtLeast():
			case s.Over > 2*limit || r.queue.has(c.name):
				r.enqueue(c, s, false)
			default:
				call := r.requestFor(c, s)
				call.Limit, call.Exact = max(limit, s.Over), c.policy.Exact
				if err := b.add(ctx, firstCall{c, s, call}, s.Over*c.entrySize()); err != nil {
					return err
				}
			}
		}
	}
	return b.send(ctx)
}

// firstAged is the limit of a first call by age: as few entries as can tell
// whether there is more, but never many large ones.
func firstAged(entryBytes int64) int64 {
	return max(2, min(fewEntries, firstSlice/entryBytes))
}

// trimAged takes entries of which it is only known that some are too old, a few
// from each stream.
func (r *run) trimAged(ctx context.Context, due []*stream) error {
	var calls []firstCall
	for _, c := range due {
		for _, s := range c.cut.Steps {
			if !s.AtLeast() || c.failed {
				continue
			}
			if r.queue.has(c.name) {
				r.enqueue(c, s, false)
				continue
			}
			call := r.requestFor(c, s)
			call.Limit, call.Exact = firstAged(c.entrySize()), c.policy.Exact
			calls = append(calls, firstCall{c, s, call})
		}
	}
	b := batch{run: r, aged: true}
	for len(calls) > 0 {
		part := calls[:min(r.perPipeline.probes, len(calls))]
		calls = calls[len(part):]
		for _, f := range part {
			if err := b.add(ctx, f, 0); err != nil {
				return err
			}
		}
		if err := b.send(ctx); err != nil {
			return err
		}
	}
	return r.lookAgain(ctx, b.unsure)
}

// lookAgain looks at streams of which a call removed less than it might: it came
// to the end, or to a macro node that is larger than its limit, which the oldest
// entries now tell.
func (r *run) lookAgain(ctx context.Context, unsure []firstCall) error {
	streams := make([]*stream, len(unsure))
	for i, f := range unsure {
		streams[i] = f.stream
	}
	if err := r.probeOldest(ctx, streams, fewEntries); err != nil {
		return err
	}
	for _, f := range unsure {
		c := f.stream
		switch {
		case c.failed || c.stats.OldEntries == 0:
		case c.stats.OldEntries >= f.call.Limit:
			r.enqueue(c, f.step, false)
		case trim.GoesExact(c.stats.OldEntries, c.length(), c.stats.NodeLimit):
			r.enqueue(c, f.step, true)
		}
	}
	return nil
}

// stepOf is what is left of a step of a cut, of which so many entries are gone.
func stepOf(s trim.Step, call buffer.TrimRequest, removed int64) step {
	if s.AtLeast() {
		return step{by: s.By, call: call, over: -1, left: -1}
	}
	return step{by: s.By, call: call, over: s.Over, left: s.Over - removed}
}

// enqueue queues what is left of a step of a stream's cut.
func (r *run) enqueue(c *stream, s trim.Step, exact bool) {
	next := stepOf(s, r.requestFor(c, s), c.removed)
	if exact {
		next.toExact(c)
		logLargeNode(r.s.o.Log, c)
	}
	r.queue.add(c, next)
}

// firstCall is the first call for a step of a stream's cut.
type firstCall struct {
	stream *stream
	step   trim.Step
	call   buffer.TrimRequest
}

// batch gathers calls that together free a few slices.
type batch struct {
	run *run
	// aged: only Redis knows what the calls find.
	aged  bool
	calls []firstCall
	bytes int64
	// unsure are calls of which the outcome does not say whether there is more
	// to go.
	unsure []firstCall
}

// maxBatch bounds a batch of calls that remove, however little.
const maxBatch = 128

// add takes one call into the batch and sends the batch first if it would free
// too much.
func (b *batch) add(ctx context.Context, f firstCall, bytes int64) error {
	if len(b.calls) > 0 && (b.bytes+bytes > b.run.s.pace.batch() || len(b.calls) >= maxBatch) {
		if err := b.send(ctx); err != nil {
			return err
		}
	}
	b.calls = append(b.calls, f)
	b.bytes += bytes
	return nil
}

// send carries the calls out.
func (b *batch) send(ctx context.Context) error {
	if len(b.calls) == 0 {
		return nil
	}
	r := b.run
	if err := b.dropPaused(ctx); err != nil || len(b.calls) == 0 {
		return err
	}
	calls := make([]buffer.TrimRequest, len(b.calls))
	for i := range b.calls {
		calls[i] = b.calls[i].call
	}
	started := time.Now()
	results, err := r.s.store.Trims(ctx, calls)
	took := time.Since(started)
	if err != nil {
		for i, result := range results {
			if f := b.calls[i]; wasSent(result) {
				r.take(f.stream.outcome(f.step.By, result, r.isInNode(f, result.Removed)))
			}
		}
		return err
	}
	var freed, entries int64
	for i, result := range results {
		f := b.calls[i]
		r.take(f.stream.outcome(f.step.By, result, r.isInNode(f, result.Removed)))
		if result.Err != nil {
			continue
		}
		freed += result.Removed * f.stream.entrySize()
		entries += result.Removed
		b.continueWith(f, result)
	}
	if entries > 0 {
		r.s.o.OnCall(took)
		r.s.pace.took(took, freed)
	}
	if b.aged {
		r.perPipeline.probes = r.s.pace.calls(r.perPipeline.probes, 1, maxProbes, took)
	}
	b.calls, b.bytes = b.calls[:0], 0
	return nil
}

// isInNode reports whether a call went into a macro node that holds more than it took.
// The server's present limits say so, where nodes may be larger than usual.
func (r *run) isInNode(f firstCall, removed int64) bool {
	most := r.s.nodes.EntriesPerNode(f.stream.entrySize())
	return r.s.store.AsSent(f.call).Exact && most > fewEntries && removed < min(most, f.stream.length())
}

// dropPaused takes the calls out whose streams were paused meanwhile.
func (b *batch) dropPaused(ctx context.Context) error {
	paused, err := b.run.s.o.Paused(ctx)
	if err != nil {
		return err
	}
	b.calls = slices.DeleteFunc(b.calls, func(f firstCall) bool {
		f.stream.paused = f.stream.paused || paused(f.stream.name)
		return f.stream.paused
	})
	return nil
}

// continueWith queues a stream that has more to lose.
func (b *batch) continueWith(f firstCall, result buffer.TrimResult) {
	r, c := b.run, f.stream
	switch {
	case f.step.AtLeast() && result.Removed > f.call.Limit/2:
		r.enqueue(c, f.step, false)
	case f.call.Exact, result.HeldBy != "":
	case f.step.AtLeast():
		b.unsure = append(b.unsure, f)
	default:
		if left := f.step.Over - c.removed; left > 0 && trim.GoesExact(left, c.length(), c.stats.NodeLimit) {
			r.enqueue(c, f.step, true)
		}
	}
}
