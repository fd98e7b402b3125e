package inspect

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// malformedType is the kind of malformed thing that a key of another type is.
const malformedType = "stream_type"

// walker visits names of streams a page at a time, as Store.WalkStreams does.
type walker func(ctx context.Context, visit func(names []string) error) error

// pagesOf walks over names that are at hand.
func pagesOf(names []string) walker {
	return func(_ context.Context, visit func([]string) error) error {
		for page := range slices.Chunk(names, 500) {
			if err := visit(page); err != nil {
				return err
			}
		}
		return nil
	}
}

// run is one pass over streams.
type run struct {
	*Inspector
	visit  func(Message)
	report Report
	// left is how many bytes may still be read.
	left    int64
	misfits int
	// largest is about the length of the largest messages seen lately.
	largest   int64
	errors    map[redisconn.Class]int64
	examples  map[redisconn.Class]error // the first of each class
	summaries map[string]*Summary
}

func newRun(i *Inspector, visit func(Message)) *run {
	if visit == nil {
		visit = func(Message) {}
	}
	i.memory.run++
	return &run{
		Inspector: i, visit: visit, left: i.o.MaxBytes, largest: burst.AimedBurst,
		errors: make(map[redisconn.Class]int64), examples: make(map[redisconn.Class]error), summaries: make(map[string]*Summary),
	}
}

// all inspects what the walker comes upon.
func (r *run) all(ctx context.Context, walk walker) (Report, error) {
	err := r.sample(ctx, walk)
	for _, name := range slices.Sorted(maps.Keys(r.summaries)) {
		r.report.Summaries = append(r.report.Summaries, *r.summaries[name])
	}
	for class, n := range r.errors {
		r.o.Log.Warn("streams were not inspected", "class", string(class), "streams", n, "example", r.examples[class])
	}
	return r.report, err
}

// sample looks into the streams in whatever order if the budget surely reaches
// all, and else into the most recently active.
func (r *run) sample(ctx context.Context, walk walker) error {
	enough, err := r.reachesAll(ctx, walk)
	if err != nil {
		return err
	}
	if enough {
		return walk(ctx, func(names []string) error {
			targets, err := r.targets(ctx, names)
			if err != nil {
				return err
			}
			return r.look(ctx, r.admit(targets))
		})
	}
	targets, err := r.mostRecent(ctx, walk)
	if err != nil {
		return err
	}
	return r.look(ctx, targets)
}

// target is a stream to look into.
type target struct {
	name   string
	length int64
	// least and most are between which bytes its samples are expected to take.
	// What exceeds a burst may not be read at all, so it adds nothing to least.
	least, most int64
	err         error
}

// leastSample is what a sample takes at the least. Where Redis does not tell
// the size of a stream it keeps the number of those considered within bounds.
const leastSample = 64

// targets asks what there is, without touching a message.
func (r *run) targets(ctx context.Context, names []string) ([]target, error) {
	lengths, err := r.store.Lengths(ctx, names)
	if err != nil {
		return nil, err
	}
	sizes, err := r.store.Sizes(ctx, names)
	if err != nil {
		return nil, err
	}
	targets := make([]target, len(names))
	for i, name := range names {
		t := target{name: name, length: lengths[i].Entries, err: lengths[i].Err}
		if t.length > 0 {
			samples := min(t.length, int64(r.o.Samples))
			each := max(sizes[i]/t.length, leastSample)
			t.least, t.most = samples*each, 2*samples*each
			if each > min(burst.AllowedBurst, r.o.MaxBytes) {
				t.least = samples * leastSample // what is so large is not read
			}
			if sizes[i] == 0 {
				t.most = samples * burst.AimedBurst
			}
		}
		targets[i] = t
	}
	return targets, nil
}

// errStop ends a walk whose outcome is known.
var errStop = errors.New("enough")

// reachesAll reports whether the budget will do for all samples at their most.
func (r *run) reachesAll(ctx context.Context, walk walker) (bool, error) {
	expected := int64(0)
	err := walk(ctx, func(names []string) error {
		targets, err := r.targets(ctx, names)
		if err != nil {
			return err
		}
		for _, t := range targets {
			expected += t.most
		}
		if expected > r.o.MaxBytes {
			return errStop
		}
		return nil
	})
	if errors.Is(err, errStop) {
		return false, nil
	}
	return true, err
}

// admit counts the streams that cannot be looked into, and returns the others
// that have a message.
func (r *run) admit(targets []target) []target {
	return slices.DeleteFunc(targets, func(t target) bool {
		switch {
		case t.err != nil:
			r.failed(t.name, t.err)
		case t.length == 0:
			r.report.Streams++
			r.summarize(t, nil, 0)
		}
		return t.err != nil || t.length == 0
	})
}

// failed counts a stream that could not be read: one of another type is
// malformed and skipped, anything else is an error.
func (r *run) failed(stream string, err error) {
	class := redisconn.ClassOf(err)
	if class == redisconn.ClassWrongType {
		r.o.OnMalformed(malformedType)
		r.o.Log.Debug("skipped key that is no stream", "stream", buffer.Escape(stream))
		return
	}
	r.report.Errors++
	r.errors[class]++
	if r.examples[class] == nil {
		r.examples[class] = err
	}
	r.o.Log.Debug("stream not inspected", "stream", buffer.Escape(stream), "error", err)
}
