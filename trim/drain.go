package trim

import (
	"context"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// batch gathers calls that together free about one slice.
type batch struct {
	run    *run
	reason Reason
	// probe marks calls of which most are expected to remove nothing.
	probe bool

	candidates []*candidate
	calls      []buffer.Trim
	bytes      int64
}

// maxBatch bounds a batch of calls that remove, however little.
const maxBatch = 128

// add takes one call into the batch and sends the batch first if it would
// free too much.
func (b *batch) add(ctx context.Context, c *candidate, call buffer.Trim, bytes int64) error {
	if len(b.calls) > 0 && (b.bytes+bytes > b.run.pace.slice || len(b.calls) >= maxBatch) {
		if err := b.send(ctx); err != nil {
			return err
		}
	}
	b.candidates = append(b.candidates, c)
	b.calls = append(b.calls, call)
	b.bytes += bytes
	return nil
}

// send carries the calls out and queues the streams that have more to lose.
func (b *batch) send(ctx context.Context) error {
	if len(b.calls) == 0 {
		return nil
	}
	r := b.run
	started := time.Now()
	outcomes, err := r.store.Trims(ctx, b.calls)
	if err != nil {
		return err
	}
	took := time.Since(started)
	var freed, entries int64
	for i, out := range outcomes {
		c, call := b.candidates[i], b.calls[i]
		if out.Err != nil {
			r.failed(c.name, out.Err)
			continue
		}
		freed += out.Removed * c.entryBytes
		entries += out.Removed
		r.removed(c.name, b.reason, out.Removed, &c.counted)
		r.seeGroups(c.name, out)
		if b.reason == ByAge && out.Removed > call.Limit/2 {
			r.wait(c, ByAge, -1)
		}
	}
	b.adapt(took, freed, entries)
	b.candidates, b.calls, b.bytes = b.candidates[:0], b.calls[:0], 0
	return nil
}

// adapt learns from how long the batch took.
func (b *batch) adapt(took time.Duration, freed, entries int64) {
	r := b.run
	if entries > 0 {
		r.o.OnCall(took)
		r.pace.took(took, freed)
	}
	if !b.probe {
		return
	}
	switch busy := took - r.pace.trip; {
	case entries == 0, busy < r.pace.stall/2:
		r.probes = min(maxProbes, r.probes*2)
	case busy > r.pace.stall:
		r.probes = max(1, r.probes/2)
	}
}

// backlog is a stream that has more to lose than one bite.
type backlog struct {
	candidate
	reason Reason
	// surplus is how many entries are still to go, or negative if only Redis
	// knows.
	surplus int64
	// atLeast is a limit below which the server's first macro node does not fit.
	atLeast int64
	exact   bool
}

// wait queues a stream to be drained. When time has run out and the queue is
// full, the next run will come upon the stream anyway.
func (r *run) wait(c *candidate, reason Reason, surplus int64) {
	if len(r.waiting) > 2*maxWaiting {
		return
	}
	r.waiting = append(r.waiting, backlog{candidate: *c, reason: reason, surplus: surplus})
}

// turn is how long one stream is drained before the next one has its turn, so
// that a giant starves nobody.
const turn = 50 * time.Millisecond

// drain works off the queue, one call at a time and round-robin, until it is
// empty or the run's time is up; what is left goes first next time.
func (r *run) drain(ctx context.Context) error {
	for len(r.waiting) > 0 && !r.isLate() {
		b := r.waiting[0]
		r.waiting = r.waiting[1:]
		done, err := r.drainTurn(ctx, &b)
		if !done {
			r.waiting = append(r.waiting, b)
		}
		if err != nil {
			return err
		}
		r.progress(false)
	}
	return nil
}

func (r *run) isLate() bool { return r.o.Budget > 0 && time.Since(r.start) > r.o.Budget }

func (r *run) drainTurn(ctx context.Context, b *backlog) (done bool, err error) {
	for started := time.Now(); time.Since(started) < turn; {
		if done, err = r.drainOnce(ctx, b); done || err != nil {
			return done, err
		}
	}
	return false, nil
}

// drainOnce takes one slice from a stream.
func (r *run) drainOnce(ctx context.Context, b *backlog) (done bool, err error) {
	node := r.nodes.EntriesPerNode(b.entryBytes)
	call := r.call(&b.candidate, b.reason)
	call.Limit = max(b.atLeast, r.pace.entries(max(1, b.entryBytes), node))
	if b.exact {
		call.Exact = true
		call.Limit = max(1, min(call.Limit, 2*node))
	}
	started := time.Now()
	outcomes, err := r.store.Trims(ctx, []buffer.Trim{call})
	if err != nil {
		return false, err
	}
	took, out := time.Since(started), outcomes[0]
	if out.Err != nil {
		r.failed(b.name, out.Err)
		return true, nil
	}
	r.seeGroups(b.name, out)
	if out.Removed == 0 {
		r.pace.trips(took)
		return r.stuck(b, call.Limit, node), nil
	}
	r.o.OnCall(took)
	r.pace.took(took, out.Removed*b.entryBytes)
	r.removed(b.name, b.reason, out.Removed, &b.counted)
	if b.surplus > 0 {
		b.surplus = max(0, b.surplus-out.Removed)
	}
	stopped := b.surplus == 0 || b.reason == ByAge && out.Removed+node <= call.Limit
	return stopped && r.finished(b), nil
}

// stuck decides what it means that a call removed nothing: the end, or that
// the server's first macro node holds more entries than the limit allows.
func (r *run) stuck(b *backlog, limit, node int64) (done bool) {
	const enough = 20_000
	if !b.exact && limit < enough && (b.surplus < 0 || limit < b.surplus) && limit < 64*node {
		b.atLeast = 2 * limit
		return false
	}
	return r.finished(b)
}

// finished goes over to the exact rest, if the policy wants it.
func (r *run) finished(b *backlog) bool {
	if !b.policy.Exact || b.exact {
		return true
	}
	b.exact, b.surplus = true, -1
	return false
}
