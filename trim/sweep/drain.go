package sweep

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/streamkeeper/streamkeeper/internal/rescue"
)

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
		group.Go(func() error { return rescue.Call(func() error { return w.drain(ctx) }) })
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
