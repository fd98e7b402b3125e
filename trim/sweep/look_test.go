package sweep

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/trim"
)

// morePages is more than a page of names can hold: SSCAN returns some more than it is asked for.
const morePages = 200

// expecting is a store whose first Trims waits until the streams of another page
// are looked at, and which then fails if it is to.
type expecting struct {
	Store
	fails error

	trims sync.Once
	asked chan struct{}

	mu   sync.Mutex
	seen map[string]bool
}

func (e *expecting) Oldest(ctx context.Context, looks []buffer.OldestRequest) ([]buffer.OldestResult, error) {
	e.mu.Lock()
	for _, l := range looks {
		e.seen[l.Stream] = true
	}
	seen := len(e.seen)
	e.mu.Unlock()
	if seen > morePages {
		select {
		case e.asked <- struct{}{}:
		default:
		}
	}
	return e.Store.Oldest(ctx, looks)
}

func (e *expecting) Trims(ctx context.Context, calls []buffer.TrimRequest) ([]buffer.TrimResult, error) {
	first := false
	e.trims.Do(func() { first = true })
	if first {
		select {
		case <-e.asked:
		case <-time.After(time.Minute):
			return nil, fmt.Errorf("nobody looked at the next page")
		}
		if e.fails != nil {
			return nil, e.fails
		}
	}
	return e.Store.Trims(ctx, calls)
}

func TestWhileOnePageIsTrimmedTheNextIsLookedAt(t *testing.T) {
	for _, fails := range []error{nil, context.DeadlineExceeded} {
		t.Run(fmt.Sprint(fails), func(t *testing.T) {
			w := realFixture(t)
			for i := range 600 {
				w.fill(fmt.Sprintf("car-%d", i), 10, times(time.Now().Add(-2*time.Hour), 120)...)
			}
			s := &expecting{Store: w.store, asked: make(chan struct{}, 1), fails: fails, seen: make(map[string]bool)}
			r, err := New(s, Options{Policies: trim.Policies{Default: trim.Policy{MaxAge: time.Hour}}}).Run(t.Context())
			switch {
			case fails != nil && err == nil:
				t.Errorf("a page failed, and the run did not: %+v", r)
			case fails == nil && (err != nil || r.StreamsTrimmed != 600):
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

func TestANameThatComesTwiceHasOneTurn(t *testing.T) {
	w := miniFixture(t)
	w.fill("twice", 10, times(time.Now().Add(-2*time.Hour), 300)...)
	w.fill("once", 10, times(time.Now().Add(-2*time.Hour), 300)...)
	for _, pages := range [][][]string{{{"twice"}, {"twice", "once"}}, {{"twice", "twice", "once"}}} {
		s := &repeating{Store: w.store, pages: pages}
		var cuts []string
		r, err := New(s, Options{Policies: trim.Policies{Default: trim.Policy{MaxLength: 10}}}).Plan(t.Context(), func(c trim.Cut) { cuts = append(cuts, c.Stream) })
		if err != nil || r.Streams != 2 || r.EntriesRemoved != 580 || !slices.Equal(cuts, []string{"twice", "once"}) {
			t.Errorf("%q: %+v, %v, cuts %q", pages, r, err, cuts)
		}
	}
}

// repeating names streams in pages of its own.
type repeating struct {
	Store
	pages [][]string
}

func (s *repeating) WalkStreams(_ context.Context, visit func([]string) error) error {
	for _, page := range s.pages {
		if err := visit(page); err != nil {
			return err
		}
	}
	return nil
}

// sizing notes of which streams the sizes are asked.
type sizing struct {
	Store
	mu    sync.Mutex
	asked []string
}

func (s *sizing) Sizes(ctx context.Context, names []string) ([]int64, error) {
	s.mu.Lock()
	s.asked = append(s.asked, names...)
	s.mu.Unlock()
	return s.Store.Sizes(ctx, names)
}

func TestOnlyStreamsThatAreTooLongAreSized(t *testing.T) {
	t.Parallel()
	w := realFixture(t)
	now := time.Now()
	w.fill("short", 10, times(now, 10)...)
	w.fill("long", 10, times(now, 300)...)
	w.fill("long-kept", 10, times(now, 300)...)
	w.fill("long-old", 10, times(now.Add(-2*time.Hour), 300)...)
	w.fill("long-aged", 10, times(now, 300)...)
	w.fill("short-aged", 10, times(now, 10)...)
	rules, err := trim.ParseRules("*-kept:keep=all;*-old:max_length=10,max_age=1h;*-aged:max_length=10,max_age=1h", trim.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	s := &sizing{Store: w.store}
	r, err := New(s, Options{Policies: trim.Policies{Rules: rules, Default: trim.Policy{MaxLength: 10}}}).Run(t.Context())
	if err != nil || r.StreamsTrimmed != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	slices.Sort(s.asked)
	// The oldest entry of long-old has told what it takes.
	if want := []string{"long", "long-aged"}; !slices.Equal(s.asked, want) {
		t.Errorf("the sizes of %q were asked, not of %q", s.asked, want)
	}
}

// sizeless is a store that tells no sizes, as where MEMORY USAGE is denied.
type sizeless struct{ *watched }

func (sizeless) Sizes(_ context.Context, names []string) ([]int64, error) {
	return make([]int64, len(names)), nil
}

func TestCallsStaySmallWhereNoSizeIsKnown(t *testing.T) {
	t.Parallel()
	w := realFixture(t)
	now := time.Now()
	w.fill("backlog", 1000, times(now, 20_000)...)
	for i := range 100 {
		w.fill(fmt.Sprintf("car-%d", i), 1000, times(now, 60)...)
	}
	r, err := New(sizeless{w.store}, Options{Policies: trim.Policies{Default: trim.Policy{MaxLength: 10, Exact: true}}}).Run(t.Context())
	if err != nil || r.EntriesRemoved != 20_000-10+100*50 {
		t.Fatalf("%+v, %v", r, err)
	}
	if r.BytesRemoved != 0 {
		t.Errorf("it says that %d bytes went, and knows nothing of them", r.BytesRemoved)
	}
	most := newPace(DefaultMaxStall)
	for _, o := range w.store.outcomes {
		if o.Removed > 2*most.most()/assumedSize {
			t.Fatalf("a call removed %d entries", o.Removed)
		}
	}
	if at, atMost := len(w.store.outcomes)/w.store.trims, int(batchSlices*most.most()/assumedSize/50); at > atMost {
		t.Errorf("%d calls in a batch, and %d are allowed", at, atMost)
	}
}
