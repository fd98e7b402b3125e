package trim

import (
	"context"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
)

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

type queueKey struct {
	stream string
	reason Reason
}

// wait queues a stream to be drained, once for each reason. When time has run
// out and the queue is full, the next run will come upon the stream anyway.
func (r *run) wait(c *candidate, reason Reason, surplus int64) {
	key := queueKey{c.name, reason}
	if r.queued[key] || len(r.waiting) > 2*maxWaiting {
		return
	}
	r.queued[key] = true
	r.waiting = append(r.waiting, backlog{candidate: *c, reason: reason, surplus: surplus})
}

// turn is how long one stream is drained before the next one has its turn, so
// that a giant starves nobody.
const turn = 50 * time.Millisecond

// drain works off the queue, one call at a time and round-robin, until it is
// empty or the run's time is up; what is left goes first next time.
func (r *run) drain(ctx context.Context) error {
	r.draining = true
	defer func() { r.draining = false }()
	for len(r.waiting) > 0 && !r.isLate() {
		b := r.waiting[0]
		r.waiting = r.waiting[1:]
		done, err := r.drainTurn(ctx, &b)
		if done {
			delete(r.queued, queueKey{b.name, b.reason})
		} else {
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
	call.Limit = max(b.atLeast, r.pace.entries(b.entryBytes, node))
	if b.exact {
		call.Exact = true
		call.Limit = min(call.Limit, 2*node)
	}
	outcomes, took, err := r.trims(ctx, []buffer.Trim{call})
	if err != nil {
		return false, err
	}
	out := outcomes[0]
	if out.Err != nil {
		r.failed(b.name, out.Err)
		return true, nil
	}
	r.seeGroups(b.name, out)
	if out.Removed == 0 {
		r.pace.trips(took)
		return r.stuck(b, call.Limit), nil
	}
	r.o.OnCall(took)
	r.pace.took(took, out.Removed*b.entryBytes)
	r.removed(&b.candidate, b.reason, out.Removed)
	b.atLeast = 0
	if b.surplus > 0 {
		b.surplus = max(0, b.surplus-out.Removed)
	}
	toTheEnd := b.surplus < 0 && !b.exact && out.Removed+r.fullNodes()/2 <= call.Limit
	return (b.surplus == 0 || toTheEnd) && r.finished(b), nil
}

// stuck decides what it means that a call removed nothing: the end, or that
// the server's first macro node holds more entries than the limit allows. A
// larger limit costs no more than the last one: what it adds is in that node.
func (r *run) stuck(b *backlog, limit int64) (done bool) {
	if b.exact || limit >= r.fullNodes()/2 || b.surplus >= 0 && limit >= b.surplus {
		return r.finished(b)
	}
	b.atLeast = 2 * limit
	return false
}

// finished goes over to the exact rest, if the policy wants it.
func (r *run) finished(b *backlog) bool {
	if !b.policy.Exact || b.exact {
		return true
	}
	b.exact, b.surplus = true, -1
	return false
}
