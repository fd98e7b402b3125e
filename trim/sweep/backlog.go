package sweep

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/rescue"
	"github.com/streamkeeper/streamkeeper/trim"
)

// maxWaiting is how many streams wait for their backlog to be removed before
// that begins.
const maxWaiting = 10_000

// backlog is a stream that has more to lose than a first call takes.
type backlog struct {
	stream stream
	// steps are what is still to be done, one after the other.
	steps []step
}

// step is what is left of a step of a cut.
type step struct {
	by trim.Reason
	// call is the command, without a limit.
	call buffer.TrimRequest
	// over is how many entries were over the limit when the run decided, and left
	// how many of them are still to go; negative if only Redis knows.
	over, left int64
	// atLeast is a limit below which the stream's first macro node does not fit.
	atLeast int64
	// exact removes single entries, at most so many a call.
	exact      bool
	exactSlice int64
}

// toExact goes over to removing single entries.
func (s *step) toExact() { s.exact, s.exactSlice = true, fewEntries }

// queue is the backlogs of a run, a stream once.
type queue struct {
	waiting []backlog
	// indexes are where they stand.
	indexes map[string]int
}

func newQueue() *queue { return &queue{indexes: make(map[string]int)} }

func (q *queue) len() int { return len(q.waiting) }

func (q *queue) has(stream string) bool {
	_, queued := q.indexes[stream]
	return queued
}

// add queues a step of a stream. When time has run out and the queue is full,
// the next run will come upon the stream anyway.
func (q *queue) add(c *stream, s step) {
	i, queued := q.indexes[c.name]
	if !queued {
		if len(q.waiting) > 2*maxWaiting {
			return
		}
		i = len(q.waiting)
		q.indexes[c.name] = i
		q.waiting = append(q.waiting, backlog{stream: *c})
	}
	b := &q.waiting[i]
	if !slices.ContainsFunc(b.steps, func(have step) bool { return have.by == s.by }) {
		b.stream, b.steps = *c, append(b.steps, s)
	}
}

// take empties the queue, those that the last run left first.
func (q *queue) take(carriedOver map[string]bool) []backlog {
	all := q.waiting
	q.waiting, q.indexes = nil, make(map[string]int)
	if len(carriedOver) == 0 {
		return all
	}
	slices.SortStableFunc(all, func(a, b backlog) int {
		switch old := carriedOver[a.stream.name]; {
		case old == carriedOver[b.stream.name]:
			return 0
		case old:
			return -1
		}
		return 1
	})
	return all
}

// put puts back what is not done.
func (q *queue) put(left []backlog) {
	for _, b := range left {
		q.indexes[b.stream.name] = len(q.waiting)
		q.waiting = append(q.waiting, b)
	}
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
		next.toExact()
		logLargeNode(r.s.o.Log, c)
	}
	r.queue.add(c, next)
}

// drain removes the backlogs, with a worker for each node of Redis, until there
// are none or the time is up, and returns the streams that are done.
func (r *run) drain(ctx context.Context) (done []*stream, err error) {
	waiting := r.queue.take(r.s.carriedOver)
	if len(waiting) == 0 || isLate(r.until) {
		r.queue.put(waiting)
		return nil, nil
	}
	updates := make(chan news)
	workers, err := r.workers(ctx, waiting, updates)
	if err != nil {
		r.queue.put(waiting)
		return nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, w := range workers {
		group.Go(func() error { return rescue.Call(func() error { return w.work(ctx) }) })
	}
	ended := make(chan error, 1)
	go func() {
		ended <- group.Wait()
		close(updates)
	}()
	defer func() {
		// After a panic of a callback no worker may wait for ever.
		for range updates {
			continue
		}
	}()
	left := len(waiting)
	var paces []pace
	for n := range updates {
		for _, o := range n.outcomes {
			r.take(o)
		}
		if n.removed() {
			r.s.o.OnCall(n.took)
		}
		left -= len(n.done)
		for i := range n.done {
			done = append(done, &n.done[i].stream)
		}
		if n.ended {
			r.queue.put(n.left)
			paces = append(paces, n.pace)
		}
		r.tally.progress(false, left)
	}
	r.s.pace = slowest(paces)
	return done, <-ended
}

// workers gives each node of Redis its part of the queue.
func (r *run) workers(ctx context.Context, waiting []backlog, updates chan<- news) ([]*worker, error) {
	byNode := make(map[string]*worker)
	var workers []*worker
	for _, b := range waiting {
		node, err := r.s.store.NodeOf(ctx, b.stream.name)
		if err != nil {
			return nil, err
		}
		w := byNode[node]
		if w == nil {
			w = &worker{store: r.s.store, nodes: r.s.nodes, until: r.until, pace: r.s.pace, updates: updates, paused: r.s.o.Paused, log: r.s.o.Log}
			byNode[node] = w
			workers = append(workers, w)
		}
		w.queue = append(w.queue, b)
	}
	return workers, nil
}

// removed reports whether the pipeline removed anything.
func (n *news) removed() bool {
	for _, o := range n.outcomes {
		if o.result.Removed > 0 {
			return true
		}
	}
	return false
}
