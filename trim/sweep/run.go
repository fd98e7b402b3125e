package sweep

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/rescue"
	"github.com/streamkeeper/streamkeeper/trim"
)

// run is one pass over all streams and the draining of what it finds. Two
// pages are worked on at once, so that Redis has something to do while the
// answers of the other are read; mu is held except while waiting for Redis.
type run struct {
	*Sweeper
	now    time.Time
	byAge  bool // the clock can be trusted
	start  time.Time
	report Report

	mu sync.Mutex
	// waiting are the streams that have more to lose than one bite, those
	// that the last run left first; queued says which they are.
	waiting  []backlog
	queued   map[queueKey]bool
	draining bool
	// probes and looks are how many calls that remove little or nothing go
	// into one pipeline.
	probes, looks int
	groups        *groupNotes
	// held are streams that consumer groups hold back, by group; not all if
	// there are many.
	held   map[string]string
	errors map[buffer.Class]int64
	// examples are the first errors of each class.
	examples map[buffer.Class]error
	told     time.Time
	planning bool // nothing is removed
	// trimmed are the streams that lost an entry, and pressed how many each
	// lost for want of memory; both are kept only where that may happen.
	trimmed map[string]bool
	pressed map[string]int64
}

const (
	pagesAtOnce = 2
	firstProbes = 16
	maxProbes   = 128
	firstLooks  = 64
	maxLooks    = 512
	maxWaiting  = 10_000
)

func newRun(t *Sweeper, now time.Time, byAge bool) *run {
	r := &run{
		Sweeper: t, now: now, byAge: byAge, start: time.Now(), probes: firstProbes, looks: firstLooks,
		queued: make(map[queueKey]bool), held: make(map[string]string), errors: make(map[buffer.Class]int64), examples: make(map[buffer.Class]error),
	}
	if r.minds() {
		r.trimmed, r.pressed = make(map[string]bool), make(map[string]int64)
	}
	return r
}

// pass looks at every stream once.
func (r *run) pass(ctx context.Context) error {
	pages, ctx := errgroup.WithContext(ctx)
	pages.SetLimit(pagesAtOnce)
	walkErr := r.store.WalkStreams(ctx, func(names []string) error {
		page := r.candidates(names)
		pages.Go(func() error {
			r.mu.Lock()
			defer r.mu.Unlock()
			return rescue.Call(func() error { return r.page(ctx, page) })
		})
		return ctx.Err()
	})
	if err := pages.Wait(); err != nil {
		return err
	}
	if walkErr == nil {
		r.groups.forgetUnlisted()
	}
	return walkErr
}

// yield lets the other page go on while this one waits for Redis.
func (r *run) yield(wait func() error) error {
	r.mu.Unlock()
	defer r.mu.Lock()
	return wait()
}

// candidate is a stream of a page, with what is known of it.
type candidate struct {
	name       string
	policy     trim.Policy
	length     int64
	measured   bool  // the length is known
	entryBytes int64 // 0 if not known
	old        int64 // entries that are too old, as far as they were counted
	timeIDs    bool  // the last id is a time
	skip       bool
	counted    bool // among the streams that lost an entry
}

// candidates picks the streams that a policy limits.
func (r *run) candidates(names []string) []candidate {
	r.mu.Lock()
	defer r.mu.Unlock()
	page := make([]candidate, 0, len(names))
	for _, name := range names {
		r.report.Streams++
		if r.groups.noted[name] != nil {
			r.groups.met[name] = true
		}
		if p := r.o.Policies.For(name); !p.KeepsAll() {
			page = append(page, candidate{name: name, policy: p, timeIDs: true})
		}
	}
	return page
}

// page looks at one page of streams and takes the first bite of those that
// have something to lose.
func (r *run) page(ctx context.Context, page []candidate) error {
	for _, step := range []func(context.Context, []candidate) error{
		r.learnLengths, r.learnAges, r.biteLengths, r.biteAges,
	} {
		if err := step(ctx, page); err != nil {
			return err
		}
	}
	r.progress(false)
	if len(r.waiting) > maxWaiting && !r.draining {
		return r.drain(ctx)
	}
	return nil
}

// call is the command for a stream, without a limit.
func (r *run) call(c *candidate, reason trim.Reason) buffer.Trim {
	t := buffer.Trim{Stream: c.name}
	if reason == trim.ByAge {
		t.Before = c.policy.AgeLimit(r.now)
	} else {
		t.MaxLen = c.policy.MaxLength
		if c.timeIDs {
			t.Floor = c.policy.Floor(r.now)
		}
	}
	if r.o.RespectGroups {
		t.Groups = r.guard(c.name)
	}
	return t
}

// mayTrim is false for a stream whose young entries are protected by a clock
// that cannot be trusted.
func (r *run) mayTrim(c *candidate) bool { return r.byAge || c.policy.MinAge <= 0 }

// failed counts a stream that could not be trimmed: one of another type is
// malformed and passed over, anything else is an error.
func (r *run) failed(stream string, err error) {
	class := buffer.ClassOf(err)
	if class == buffer.ClassWrongType {
		r.o.OnMalformed("stream_type")
		r.o.Log.Debug("not a stream: passed over", "stream", buffer.Escape(stream))
		return
	}
	r.report.Errors++
	r.errors[class]++
	if r.examples[class] == nil {
		r.examples[class] = fmt.Errorf("stream %s: %w", buffer.Quote(stream), err)
	}
	r.o.Log.Debug("stream not trimmed", "stream", buffer.Escape(stream), "error", err)
}

// logErrors says each class of error once, with its count.
func (r *run) logErrors() {
	for _, class := range slices.Sorted(maps.Keys(r.examples)) {
		r.report.Examples = append(r.report.Examples, r.examples[class])
	}
	if n := len(r.held); n > 0 {
		stream := slices.Min(slices.Collect(maps.Keys(r.held)))
		r.o.Log.Info("entries protected by consumer groups", "streams", n, "example", buffer.Escape(stream), "group", buffer.Escape(r.held[stream]))
	}
	for class, n := range r.errors {
		r.o.Log.Warn("streams were not trimmed", "class", string(class), "streams", n, "example", r.examples[class])
	}
}

// removed notes what a call took from a stream.
func (r *run) removed(c *candidate, reason trim.Reason, entries int64) {
	if entries <= 0 {
		return
	}
	if !c.counted {
		c.counted = true
		if !r.trimmed[c.name] {
			r.report.StreamsTrimmed++
		}
		if r.trimmed != nil {
			r.trimmed[c.name] = true
		}
	}
	if reason == trim.ByPressure {
		r.pressed[c.name] += entries
	}
	r.report.EntriesRemoved += entries
	r.o.OnRemoved(c.name, reason, entries)
}

// progress tells how far the run is, at most five times a second.
func (r *run) progress(always bool) {
	if now := time.Now(); always || now.Sub(r.told) > 200*time.Millisecond {
		r.told = now
		r.o.OnProgress(Progress{Streams: r.report.Streams, Entries: r.report.EntriesRemoved, Waiting: len(r.queued)})
	}
}

func pick(page []candidate, wanted func(*candidate) bool) []*candidate {
	var picked []*candidate
	for i := range page {
		if wanted(&page[i]) {
			picked = append(picked, &page[i])
		}
	}
	return picked
}

func names(candidates []*candidate) []string {
	all := make([]string, len(candidates))
	for i, c := range candidates {
		all[i] = c.name
	}
	return all
}
