package sweep

import (
	"context"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/rescue"
)

// look is a page of streams and what Redis says of them before anything is
// decided: the length, of those with an age limit what lies at the old end, and of
// those that are too long what they take.
type look struct {
	page []stream
	// aged are the streams that have an age limit, plain the others.
	aged, plain []*stream
	// done is closed once Redis has answered; until then the rest, and the page, are the
	// goroutine's that asks.
	done chan struct{}
	// lengths are of the plain streams, oldest of the aged ones.
	lengths []buffer.Length
	oldest  []buffer.OldestResult
	// took is how long each pipeline of oldest took.
	took []time.Duration
	// long are the streams that are over their limit of length, sizes what these
	// take in memory. How much one call may remove depends on it.
	long  []*stream
	sizes []int64
	err   error
}

// lookAt asks on a goroutine of its own, so that Redis answers for one page while
// the one before is worked on.
func (r *run) lookAt(ctx context.Context, page []stream) *look {
	l := &look{page: page, done: make(chan struct{})}
	for i := range page {
		if c := &page[i]; c.ageLimit.IsZero() {
			l.plain = append(l.plain, c)
		} else {
			l.aged = append(l.aged, c)
		}
	}
	perCall := r.perPipeline.looks
	go func() {
		defer close(l.done)
		l.err = rescue.Call(func() error { return l.ask(ctx, r.s.store, perCall) })
	}()
	return l
}

func (l *look) ask(ctx context.Context, store Store, perCall int) (err error) {
	if len(l.plain) > 0 {
		if l.lengths, err = store.Lengths(ctx, namesOf(l.plain)); err != nil {
			return err
		}
	}
	if l.oldest, l.took, err = askOldest(ctx, store, l.aged, 1, perCall); err != nil {
		return err
	}
	l.long = l.findLong()
	l.sizes, err = store.Sizes(ctx, namesOf(l.long))
	return err
}

// findLong finds the streams that are over their limit of length, without those of
// which the oldest entry has told what it takes.
func (l *look) findLong() (long []*stream) {
	for i, c := range l.plain {
		if c.policy.IsTooLong(l.lengths[i].Entries) {
			long = append(long, c)
		}
	}
	for i, c := range l.aged {
		if l.oldest[i].Old == 0 && c.policy.IsTooLong(l.oldest[i].Length) {
			long = append(long, c)
		}
	}
	return long
}

// takeIn waits for what a look found and takes it in.
func (r *run) takeIn(l *look) error {
	<-l.done
	if l.err != nil {
		return l.err
	}
	for i, c := range l.plain {
		r.takeLength(c, l.lengths[i])
	}
	r.takeOldest(l.aged, l.oldest, l.took)
	for i, c := range l.long {
		c.entryBytes = l.sizes[i] / max(1, c.length())
	}
	return nil
}

func (r *run) takeLength(c *stream, length buffer.Length) {
	if length.Err == nil {
		c.recordLength(length.Entries)
		return
	}
	c.failed = true
	if !c.policy.KeepsAll() {
		r.tally.failed(c.name, length.Err)
	}
}

// probeOldest counts entries that are too old, up to so many, and asks for the
// size of the oldest.
func (r *run) probeOldest(ctx context.Context, streams []*stream, count int64) error {
	found, took, err := askOldest(ctx, r.s.store, streams, count, r.perPipeline.looks)
	if err != nil {
		return err
	}
	r.takeOldest(streams, found, took)
	return nil
}

// askOldest looks at the old ends of streams, so many in a pipeline. Only where the
// oldest entry is too old does Redis touch a payload for that.
func askOldest(ctx context.Context, store Store, streams []*stream, count int64, perCall int) ([]buffer.OldestResult, []time.Duration, error) {
	found := make([]buffer.OldestResult, 0, len(streams))
	var took []time.Duration
	for len(streams) > 0 {
		part := streams[:min(perCall, len(streams))]
		streams = streams[len(part):]
		requests := make([]buffer.OldestRequest, len(part))
		for i, c := range part {
			requests[i] = buffer.OldestRequest{Stream: c.name, Before: c.ageLimit, Count: count}
		}
		started := time.Now()
		results, err := store.Oldest(ctx, requests)
		if err != nil {
			return nil, nil, err
		}
		took = append(took, time.Since(started))
		found = append(found, results...)
	}
	return found, took, nil
}

// takeOldest takes in what was found at the old ends. How many streams go into the
// next pipeline depends on how long these took.
func (r *run) takeOldest(streams []*stream, found []buffer.OldestResult, took []time.Duration) {
	for _, t := range took {
		r.perPipeline.looks = r.s.pace.calls(r.perPipeline.looks, firstLooks, maxLooks, t)
	}
	for i, c := range streams {
		if err := found[i].Err; err != nil {
			r.tally.failed(c.name, err)
			c.failed = true
			continue
		}
		c.recordOldest(found[i])
	}
}
