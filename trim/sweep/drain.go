package sweep

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/rescue"
	"github.com/streamkeeper/streamkeeper/trim"
)

// backlog is a stream that has more to lose than one bite.
type backlog struct {
	candidate
	reason trim.Reason
	// surplus is how many entries are still to go, or negative if only Redis
	// knows.
	surplus int64
	// atLeast is a limit below which the server's first macro node does not fit.
	atLeast int64
	// exact removes single entries, at most so many a call.
	exact      bool
	exactSlice int64
}

func (b *backlog) key() queueKey { return queueKey{b.name, b.reason} }

type queueKey struct {
	stream string
	reason trim.Reason
}

// wait queues a stream to be drained, once for each reason. When time has run
// out and the queue is full, the next run will come upon the stream anyway.
func (r *run) wait(c *candidate, reason trim.Reason, surplus int64) {
	key := queueKey{c.name, reason}
	if r.queued[key] || len(r.waiting) > 2*maxWaiting {
		return
	}
	r.queued[key] = true
	r.waiting = append(r.waiting, backlog{candidate: *c, reason: reason, surplus: surplus})
}

// waitExact queues a stream of which single entries are to go: no whole macro
// node can.
func (r *run) waitExact(c *candidate, reason trim.Reason, surplus int64) {
	before := len(r.waiting)
	if r.wait(c, reason, surplus); len(r.waiting) > before {
		r.waiting[before].toExact()
	}
}

// toExact goes over to removing single entries.
func (b *backlog) toExact() { b.exact, b.exactSlice = true, fewEntries }

// turn is how long one stream is drained before the next one has its turn, so
// that a giant starves nobody.
const turn = 50 * time.Millisecond

// drain works off the queue until it is empty or the run's time is up; what is
// left goes first next time. The nodes of a cluster are drained side by side.
func (r *run) drain(ctx context.Context) error {
	r.draining = true
	// What the last run did not finish has waited longest.
	slices.SortStableFunc(r.waiting, func(a, b backlog) int {
		return boolOrder(r.carriedOver[a.name], r.carriedOver[b.name])
	})
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
			if out.Err != nil {
				r.failed(b.name, out.Err)
				continue
			}
			entries += out.Removed
			freed += out.Removed * b.entryBytes
			done, err := r.settle(ctx, &b, calls[i].Limit, out, took)
			if err != nil {
				return append(rest, left[i:]...), err
			}
			if !done {
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
	call := r.call(&b.candidate, b.reason)
	call.Limit = max(b.atLeast, r.pace.entries(b.entryBytes, r.nodeEntries(b.entryBytes)))
	if b.exact {
		call.Exact = true
		call.Limit = min(call.Limit, b.exactSlice)
		if b.surplus > 0 {
			// No more than was too many when the turn of the stream began: a fast
			// producer would else keep it for ever.
			call.Limit = min(call.Limit, b.surplus)
		}
	}
	return call
}

// settle notes what came of a call, and whether the stream is done.
func (r *run) settle(ctx context.Context, b *backlog, limit int64, out buffer.Trimmed, took time.Duration) (done bool, err error) {
	r.seeGroups(b.name, out)
	if out.Removed == 0 {
		return r.stuck(ctx, b, limit, out.HeldBy != "")
	}
	r.removed(&b.candidate, b.reason, out.Removed)
	b.atLeast = 0
	if b.exact {
		b.pace(took, r.pace)
	}
	if b.surplus > 0 {
		b.surplus = max(0, b.surplus-out.Removed)
	}
	return b.surplus == 0, nil
}

// pace adapts an exact slice to how long the last one took: it frees next to
// nothing, and has to pass over what earlier ones removed from the same node.
func (b *backlog) pace(took time.Duration, p *pace) {
	switch busy := took - min(took, p.trip); {
	case busy > p.stall/2:
		b.exactSlice = max(fewEntries/10, b.exactSlice/2)
	case busy < p.stall/8:
		b.exactSlice = min(maxExact, 2*b.exactSlice)
	}
}

// maxExact is how many entries of a macro node one call removes at most.
const maxExact = 2000

// stuck decides what it means that a call removed nothing: the end; or that the
// first macro node holds more entries than the limit allows, and a larger one
// must be tried, as long as what it adds may go at once; or that no node can go
// as a whole, and single entries have to.
func (r *run) stuck(ctx context.Context, b *backlog, limit int64, held bool) (done bool, err error) {
	most := max(fewEntries, 2*r.pace.slice/max(1, b.entryBytes))
	switch {
	case b.exact, held:
		return true, nil
	case b.surplus > 0 && limit >= b.surplus:
		return r.finished(b, trim.GoesExact(b.surplus, b.policy.MaxLength+b.surplus)), nil
	case limit < most:
		b.atLeast = min(2*limit, most)
		return false, nil
	case b.surplus > 0:
		return r.finished(b, true), nil
	}
	if err := r.lookAtOldest(ctx, []*candidate{&b.candidate}, fewEntries); err != nil {
		return false, err
	}
	if b.skip || b.old == 0 {
		return true, nil
	}
	return r.finished(b, b.old == fewEntries || trim.GoesExact(b.old, b.length)), nil
}

// finished goes over to single entries if the policy wants it, or if the macro
// node is too large. Pressure does not: it would free nothing.
func (r *run) finished(b *backlog, tooLarge bool) bool {
	if b.exact || !b.policy.Exact && (!tooLarge || b.reason == trim.ByPressure) {
		return true
	}
	if !b.policy.Exact {
		r.o.Log.Debug("macro node larger than the limit leaves: removing single entries, which frees no memory yet",
			"stream", buffer.Escape(b.name))
	}
	b.toExact()
	return false
}

// backlogs are measured where they are not known, at most so many.
const maxMeasured = 1000

// backlog is how many entries are left to the next run.
func (r *run) backlog(ctx context.Context) (entries int64, err error) {
	var aged []string
	limits := make(map[string]buffer.ID)
	for i := range r.waiting {
		b := &r.waiting[i]
		switch {
		case b.surplus >= 0:
			entries += b.surplus
		case len(aged) < maxMeasured:
			aged = append(aged, b.name)
			limits[b.name] = b.policy.AgeLimit(r.now)
		}
	}
	infos, err := r.store.Infos(ctx, aged)
	if err != nil {
		return entries, err
	}
	for i, name := range aged {
		entries += max(1, infos[i].Length-above(infos[i], limits[name]))
	}
	return entries, nil
}

// boolOrder puts what is true first.
func boolOrder(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}
