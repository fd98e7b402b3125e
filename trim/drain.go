package trim

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/rescue"
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

func (b *backlog) key() queueKey { return queueKey{b.name, b.reason} }

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

// drain works off the queue until it is empty or the run's time is up; what is
// left goes first next time. The nodes of a cluster are drained side by side.
func (r *run) drain(ctx context.Context) error {
	r.draining = true
	defer func() { r.draining = false }()
	for len(r.waiting) > 0 && !r.isLate() {
		lanes, err := r.lanes(ctx)
		if err != nil {
			return err
		}
		group, ctx := errgroup.WithContext(ctx)
		for _, l := range lanes {
			group.Go(func() error {
				r.mu.Lock()
				defer r.mu.Unlock()
				return rescue.Call(func() error { return l.drain(ctx) })
			})
		}
		err = r.yield(group.Wait)
		for _, l := range lanes {
			r.waiting = append(r.waiting, l.queue...)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lane is the part of the queue that lies on one node.
type lane struct {
	*run
	queue []backlog
}

// lanes takes the queue apart.
func (r *run) lanes(ctx context.Context) ([]*lane, error) {
	byNode := make(map[string]*lane)
	var lanes []*lane
	for _, b := range r.waiting {
		node, err := r.store.NodeOf(ctx, b.name)
		if err != nil {
			return nil, err
		}
		if byNode[node] == nil {
			byNode[node] = &lane{run: r}
			lanes = append(lanes, byNode[node])
		}
		byNode[node].queue = append(byNode[node].queue, b)
	}
	r.waiting = nil
	return lanes, nil
}

// drain works off one node's queue, one call at a time and round-robin.
func (l *lane) drain(ctx context.Context) error {
	for len(l.queue) > 0 && !l.isLate() {
		group := l.queue[:l.together()]
		l.queue = l.queue[len(group):]
		left, err := l.drainTurn(ctx, group)
		for i := range group {
			delete(l.queued, group[i].key())
		}
		for i := range left {
			l.queued[left[i].key()] = true
		}
		l.queue = append(l.queue, left...)
		if err != nil {
			return err
		}
		l.progress(false)
	}
	return nil
}

// together is how many streams at the front of the queue lose no more than one
// slice between them: at least one.
func (l *lane) together() int {
	n, bytes := 0, int64(0)
	for n < min(len(l.queue), maxBatch) {
		b := &l.queue[n]
		bytes += b.surplus * b.entryBytes
		if b.surplus < 0 || b.exact || bytes > l.pace.slice {
			break
		}
		n++
	}
	return max(1, n)
}

func (r *run) isLate() bool { return r.o.Budget > 0 && time.Since(r.start) > r.o.Budget }

// drainTurn takes slices from a few streams until their turn is over, and
// returns those that have still more to lose.
func (r *run) drainTurn(ctx context.Context, group []backlog) (left []backlog, err error) {
	left = slices.Clone(group)
	for started := time.Now(); len(left) > 0 && time.Since(started) < turn; {
		calls := make([]buffer.Trim, len(left))
		for i := range left {
			calls[i] = r.slice(&left[i])
		}
		outcomes, took, err := r.trims(ctx, calls)
		if err != nil {
			return left, err
		}
		rest := left[:0]
		var entries, freed int64
		for i, out := range outcomes {
			b := left[i]
			entries += out.Removed
			freed += out.Removed * b.entryBytes
			if done := r.settle(&b, calls[i].Limit, out); !done {
				rest = append(rest, b)
			}
		}
		left = rest
		if entries > 0 {
			r.o.OnCall(took)
			r.pace.took(took, freed)
		} else {
			r.pace.trips(took)
		}
	}
	return left, nil
}

// slice is the next call for a stream.
func (r *run) slice(b *backlog) buffer.Trim {
	node := r.nodes.EntriesPerNode(b.entryBytes)
	call := r.call(&b.candidate, b.reason)
	call.Limit = max(b.atLeast, r.pace.entries(b.entryBytes, node))
	if b.exact {
		call.Exact = true
		call.Limit = min(call.Limit, 2*node)
	}
	return call
}

// settle notes what came of a call, and whether the stream is done.
func (r *run) settle(b *backlog, limit int64, out buffer.Trimmed) (done bool) {
	if out.Err != nil {
		r.failed(b.name, out.Err)
		return true
	}
	r.seeGroups(b.name, out)
	if out.Removed == 0 {
		return r.stuck(b, limit)
	}
	r.removed(&b.candidate, b.reason, out.Removed)
	b.atLeast = 0
	if b.surplus > 0 {
		b.surplus = max(0, b.surplus-out.Removed)
	}
	toTheEnd := b.surplus < 0 && !b.exact && out.Removed+r.fullNodes()/2 <= limit
	return (b.surplus == 0 || toTheEnd) && r.finished(b)
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
