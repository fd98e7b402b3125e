package sweep

import (
	"context"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/trim"
)

// biteLengths takes what is beyond the length of the streams of a page: small
// surpluses in batches, or alone if one is more than a batch may free; large
// ones later, one at a time.
func (r *run) biteLengths(ctx context.Context, page []candidate) error {
	due := pick(page, func(c *candidate) bool {
		return !c.skip && c.policy.MaxLength > 0 && c.length > c.policy.MaxLength && r.mayTrim(c)
	})
	if err := r.learnSizes(ctx, due); err != nil {
		return err
	}
	b := batch{run: r, reason: trim.ByLength}
	for _, c := range due {
		surplus := c.length - c.policy.MaxLength
		limit := r.pace.entries(c.entryBytes, r.nodeEntries(c.entryBytes))
		if surplus > 2*limit {
			r.wait(c, trim.ByLength, surplus)
			continue
		}
		call := r.call(c, trim.ByLength)
		call.Limit = max(limit, surplus)
		call.Exact = c.policy.Exact
		if err := b.add(ctx, c, call, surplus*c.entryBytes); err != nil {
			return err
		}
	}
	return b.send(ctx)
}

// fewEntries is how many entries a call may always take: two macro nodes as
// Redis makes them by default.
const fewEntries = 200

// nodeEntries is how many entries of a size a macro node holds by the server's
// present limits. A stream may have larger nodes, from other limits or another
// server, so this only says where to begin.
func (r *run) nodeEntries(entryBytes int64) int64 {
	return min(fewEntries/2, r.nodes.EntriesPerNode(entryBytes))
}

// ageBite is the limit of a first call by age: as little as can tell whether
// there is more, but never many large entries.
func (r *run) ageBite(entryBytes int64) int64 {
	return max(2, min(fewEntries, firstSlice/max(1, entryBytes)))
}

// biteAges takes entries that are too old, a little from each stream.
func (r *run) biteAges(ctx context.Context, page []candidate) error {
	if !r.byAge {
		return nil
	}
	due := pick(page, func(c *candidate) bool { return !c.skip && c.timeIDs && c.old > 0 })
	var unsure []*candidate
	for len(due) > 0 {
		part := due[:min(r.probes, len(due))]
		due = due[len(part):]
		b := batch{run: r, reason: trim.ByAge}
		for _, c := range part {
			call := r.call(c, trim.ByAge)
			call.Limit = r.ageBite(c.entryBytes)
			call.Exact = c.policy.Exact
			if err := b.add(ctx, c, call, 0); err != nil {
				return err
			}
		}
		if err := b.send(ctx); err != nil {
			return err
		}
		unsure = append(unsure, b.unsure...)
	}
	// A call that removed less than it might came to the end, or to a macro node
	// that is larger than its limit: the oldest entries now tell.
	if err := r.lookAtOldest(ctx, unsure, fewEntries); err != nil {
		return err
	}
	for _, c := range unsure {
		switch {
		case c.skip || c.old == 0:
		case c.old >= r.ageBite(c.entryBytes):
			r.wait(c, trim.ByAge, -1)
		case trim.GoesExact(c.old, c.length):
			r.waitExact(c, trim.ByAge, -1)
		}
	}
	return nil
}

// batch gathers calls that together free about one slice.
type batch struct {
	run    *run
	reason trim.Reason

	candidates []*candidate
	calls      []buffer.Trim
	bytes      int64
	// unsure are streams of which the outcome does not say whether there is
	// more to go.
	unsure []*candidate
}

// maxBatch bounds a batch of calls that remove, however little.
const maxBatch = 128

// add takes one call into the batch and sends the batch first if it would
// free too much.
func (b *batch) add(ctx context.Context, c *candidate, call buffer.Trim, bytes int64) error {
	if len(b.calls) > 0 && (b.bytes+bytes > b.run.pace.batch() || len(b.calls) >= maxBatch) {
		if err := b.send(ctx); err != nil {
			return err
		}
	}
	b.candidates = append(b.candidates, c)
	b.calls = append(b.calls, call)
	b.bytes += bytes
	return nil
}

// send carries the calls out.
func (b *batch) send(ctx context.Context) error {
	if len(b.calls) == 0 {
		return nil
	}
	r := b.run
	outcomes, took, err := r.trims(ctx, b.calls)
	if err != nil {
		return err
	}
	var freed, entries int64
	for i, out := range outcomes {
		c := b.candidates[i]
		if out.Err != nil {
			r.failed(c.name, out.Err)
			continue
		}
		freed += out.Removed * c.entryBytes
		entries += out.Removed
		r.removed(c, b.reason, out.Removed)
		r.seeGroups(c.name, out)
		b.whatIsLeft(c, b.calls[i], out)
	}
	if entries > 0 {
		r.o.OnCall(took)
		r.pace.took(took, freed)
	}
	if b.reason == trim.ByAge {
		r.probes = r.pace.calls(r.probes, 1, maxProbes, took)
	}
	b.candidates, b.calls, b.bytes = b.candidates[:0], b.calls[:0], 0
	return nil
}

// whatIsLeft queues a stream that has more to lose.
func (b *batch) whatIsLeft(c *candidate, call buffer.Trim, out buffer.Trimmed) {
	r := b.run
	switch {
	case b.reason == trim.ByAge && out.Removed > call.Limit/2:
		r.wait(c, trim.ByAge, -1)
	case call.Exact, out.HeldBy != "":
	case b.reason == trim.ByAge:
		b.unsure = append(b.unsure, c)
	default:
		if left := c.length - c.policy.MaxLength - out.Removed; left > 0 && trim.GoesExact(left, c.length-out.Removed) {
			r.waitExact(c, trim.ByLength, left)
		}
	}
}

// trims carries calls out and says how long that took.
func (r *run) trims(ctx context.Context, calls []buffer.Trim) (outcomes []buffer.Trimmed, took time.Duration, err error) {
	err = r.yield(func() (err error) {
		started := time.Now()
		outcomes, err = r.store.Trims(ctx, calls)
		took = time.Since(started)
		return err
	})
	return outcomes, took, err
}
