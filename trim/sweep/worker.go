package sweep

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/rescue"
	"github.com/streamkeeper/streamkeeper/trim"
)

// turn is how long one stream is drained before the next one has its turn, so
// that a giant starves nobody.
const turn = 50 * time.Millisecond

// worker removes the backlogs of one node of Redis, one call at a time and
// round-robin. It owns what it was given, and sends back what comes of it.
type worker struct {
	store Store
	nodes buffer.NodeLimits
	// until is when the run's time is up; zero for never.
	until   time.Time
	pace    pace
	queue   []backlog
	updates chan<- news
	paused  func(context.Context) (func(stream string) bool, error)
	log     *slog.Logger
}

// news is what a worker sends back: what one pipeline did, and the streams that
// are done; or, at its end, what it leaves and what it learnt.
type news struct {
	outcomes []outcome
	took     time.Duration
	done     []backlog

	ended bool
	left  []backlog
	pace  pace
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

// work works off the queue until it is empty or the time is up.
func (w *worker) work(ctx context.Context) error {
	defer func() { w.updates <- news{ended: true, left: w.queue, pace: w.pace} }()
	for len(w.queue) > 0 && !isLate(w.until) {
		group := slices.Clone(w.queue[:w.together()])
		w.queue = w.queue[len(group):]
		left, err := w.turn(ctx, group)
		w.queue = append(w.queue, left...)
		if err != nil {
			return err
		}
	}
	return nil
}

// withoutPaused gives those of the streams that are not paused; with the others
// the worker is done.
func (w *worker) withoutPaused(ctx context.Context, group []backlog) ([]backlog, error) {
	paused, err := w.paused(ctx)
	if err != nil {
		return group, err
	}
	var done []backlog
	group = slices.DeleteFunc(group, func(b backlog) bool {
		if !paused(b.stream.name) {
			return false
		}
		b.stream.paused = true
		done = append(done, b)
		return true
	})
	if len(done) > 0 {
		w.updates <- news{done: done}
	}
	return group, nil
}

// together is how many streams at the front of the queue lose no more than one
// slice between them: at least one.
func (w *worker) together() int {
	n, bytes := 0, int64(0)
	for n < min(len(w.queue), maxBatch) {
		b := &w.queue[n]
		s := b.steps[0]
		bytes += s.left * b.stream.entrySize()
		if s.left < 0 || s.exact || bytes > w.pace.slice {
			break
		}
		n++
	}
	return max(1, n)
}

// turn takes slices from a few streams until their turn is over, and returns
// those that have still more to lose.
func (w *worker) turn(ctx context.Context, group []backlog) ([]backlog, error) {
	for started := time.Now(); len(group) > 0 && time.Since(started) < turn; {
		var err error
		if group, err = w.withoutPaused(ctx, group); err != nil || len(group) == 0 {
			return group, err
		}
		if err := w.measureNodes(ctx, group); err != nil {
			return group, err
		}
		calls := make([]buffer.TrimRequest, len(group))
		for i := range group {
			calls[i] = w.slice(&group[i])
		}
		sent := time.Now()
		results, err := w.store.Trims(ctx, calls)
		n := news{took: time.Since(sent)}
		if err != nil {
			n.outcomes = sentOf(group, results)
			w.updates <- n
			return group, err
		}
		group, err = w.takeResults(ctx, group, calls, results, &n)
		w.updates <- n
		if err != nil {
			return group, err
		}
	}
	return group, nil
}

// takeResults takes in what came of a pipeline, and returns the streams that have still
// more to lose.
func (w *worker) takeResults(ctx context.Context, group []backlog, calls []buffer.TrimRequest, results []buffer.TrimResult, n *news) ([]backlog, error) {
	var left []backlog
	var entries, freed int64
	for i, result := range results {
		b := group[i]
		n.outcomes = append(n.outcomes, b.stream.outcome(b.steps[0].by, result, b.steps[0].inNode))
		if result.Err != nil {
			n.done = append(n.done, b)
			continue
		}
		entries += result.Removed
		freed += result.Removed * b.stream.entrySize()
		done, err := w.advance(ctx, &b, calls[i].Limit, result, n)
		if err != nil {
			return append(left, group[i:]...), err
		}
		if done {
			n.done = append(n.done, b)
		} else {
			left = append(left, b)
		}
	}
	if entries > 0 {
		w.pace.took(n.took, freed)
	} else {
		w.pace.trips(n.took)
	}
	return left, nil
}

// slice is the next call for a stream.
func (w *worker) slice(b *backlog) buffer.TrimRequest {
	s := &b.steps[0]
	call := s.call
	call.Limit = max(s.atLeast, w.pace.entries(b.stream.entrySize(), nodeEntries(w.nodes, b.stream.entrySize())))
	if s.by == trim.ByBytes {
		call.Limit = min(call.Limit, s.left) // the stream may have grown since it was measured
	}
	if s.exact {
		call.Exact = true
		call.Limit = min(call.Limit, s.exactSlice)
		if s.left > 0 {
			// No more than was too many when the turn of the stream began: a fast
			// producer would else keep it for ever.
			call.Limit = min(call.Limit, s.left)
		}
	}
	return call
}

// advance takes in what came of a call, and goes on to the stream's next step where
// one is done; done is whether all are.
func (w *worker) advance(ctx context.Context, b *backlog, limit int64, result buffer.TrimResult, n *news) (done bool, err error) {
	s := &b.steps[0]
	if result.Removed > 0 {
		s.atLeast = 0
		if s.exact {
			s.adapt(n.took, w.pace)
		}
		if s.left > 0 {
			s.left = max(0, s.left-result.Removed)
		}
		done = s.left == 0
	} else if done, err = w.stuck(ctx, b, limit, result.HeldBy != "", n); err != nil {
		return false, err
	}
	if done && s.inNode {
		if err := w.tellEmptied(ctx, b, n); err != nil {
			return false, err
		}
	}
	for done && len(b.steps) > 1 && !b.stream.failed {
		b.steps = b.steps[1:]
		next := &b.steps[0]
		if next.left >= 0 {
			next.left = max(0, next.over-b.stream.removed)
		}
		done = next.left == 0
	}
	return done, nil
}

// stuck decides what it means that a call removed nothing: the end; or that the
// first macro node holds more entries than the limit allows, and a larger one
// must be tried, as long as what it adds may go at once; or that no node can go
// as a whole, and single entries have to.
func (w *worker) stuck(ctx context.Context, b *backlog, limit int64, held bool, n *news) (done bool, err error) {
	s := &b.steps[0]
	most := max(fewEntries, 2*w.pace.slice/b.stream.entrySize())
	if s.by == trim.ByBytes {
		most = s.left // nothing else frees memory, and to free one node takes no time
	}
	switch {
	case s.exact:
		return true, nil
	case held:
		return w.finishOrGoExact(b, false), nil
	case s.left > 0 && limit >= s.left:
		return w.finishOrGoExact(b, trim.GoesExact(s.left, s.call.MaxLen+s.left, w.nodes.MostEntries())), nil
	case limit < most:
		s.atLeast = min(2*limit, most)
		return false, nil
	case s.left > 0:
		return w.finishOrGoExact(b, true), nil
	}
	found, err := w.store.Oldest(ctx, []buffer.OldestRequest{{Stream: b.stream.name, Before: s.call.Before, Count: fewEntries}})
	if err != nil {
		return false, err
	}
	if found[0].Err != nil {
		n.outcomes = append(n.outcomes, b.stream.outcome(s.by, buffer.TrimResult{Err: found[0].Err}, false))
		return true, nil //nolint:nilerr // it is the stream's own
	}
	b.stream.recordOldest(found[0])
	old := found[0].Old
	if old == 0 {
		return true, nil
	}
	return w.finishOrGoExact(b, old == fewEntries || trim.GoesExact(old, b.stream.length(), w.nodes.MostEntries())), nil
}
