package sweep

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/trim"
)

// pausedBy pauses the streams of which stops is true.
func pausedBy(stops func(stream string) bool) func(context.Context) (func(string) bool, error) {
	return func(context.Context) (func(string) bool, error) { return stops, nil }
}

func TestPausedStreamsLoseNothingAndSaySo(t *testing.T) {
	t.Parallel()
	w := realFixture(t)
	now := time.Now()
	for _, name := range []string{"rocket", "car"} {
		var ids []string
		for i := range 600 {
			ids = append(ids, fmt.Sprintf("%d-%d", now.Add(-2*time.Hour).UnixMilli(), i+1))
		}
		w.fill(name, 10, ids...)
	}
	for name, policy := range map[string]trim.Policy{
		"length": {MaxLength: 100, Exact: true}, "age": {MaxAge: time.Hour, Exact: true}, "bytes": {MaxBytes: 1 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{Policies: trim.Policies{Default: policy}, Paused: pausedBy(func(string) bool { return true })}
			protected := make(map[string]trim.Protection)
			o.OnStream = func(l Learnt) {
				for _, p := range l.Protected {
					protected[l.Stream] = p
				}
			}
			r, err := New(w.store, o).Run(t.Context())
			if err != nil || r.EntriesRemoved != 0 || r.Streams != 2 {
				t.Fatalf("%+v, %v", r, err)
			}
			planned := 0
			_, err = New(w.store, o).Plan(t.Context(), func(c trim.Cut) {
				planned++
				if c.Entries != 0 || len(c.Protected) != 1 || c.Protected[0].By != trim.ProtectedByPause {
					t.Errorf("the plan has %+v", c)
				}
			})
			if err != nil || planned != 2 {
				t.Errorf("%d streams are planned, %v", planned, err)
			}
			for _, stream := range []string{"rocket", "car"} {
				p := protected[stream]
				if p.By != trim.ProtectedByPause || p.Entries == 0 || name == "length" && p.Entries != 500 || name == "age" && p.Entries != 600 {
					t.Errorf("%s: %+v", stream, p)
				}
			}
		})
	}
	o := Options{Policies: trim.Policies{Default: trim.Policy{MaxLength: 100, Exact: true}}}
	o.Paused = pausedBy(func(stream string) bool { return stream == "rocket" })
	if r, err := New(w.store, o).Run(t.Context()); err != nil || r.EntriesRemoved != 500 || r.StreamsTrimmed != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if n := w.rdb.XLen(t.Context(), "stream:rocket").Val(); n != 600 {
		t.Errorf("rocket has %d entries", n)
	}
}

func TestAPauseInTheMiddleOfABacklogStopsIt(t *testing.T) {
	t.Parallel()
	w := realFixture(t)
	var ids []string
	for i := range 20_000 {
		ids = append(ids, fmt.Sprintf("1700000000000-%d", i+1))
	}
	w.fill("rocket", 1000, ids...)
	begun := func() bool {
		w.store.mu.Lock()
		defer w.store.mu.Unlock()
		return w.store.trims >= 3
	}
	o := Options{Policies: trim.Policies{Default: trim.Policy{MaxLength: 100}}, Paused: pausedBy(func(string) bool { return begun() })}
	var protected []trim.Protection
	o.OnStream = func(l Learnt) { protected = l.Protected }
	// The slices are as small as can be, so that its turn does not take all.
	o.MaxStall = time.Microsecond
	s := New(w.store, o)
	r, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	left := w.rdb.XLen(t.Context(), "stream:rocket").Val()
	if r.EntriesRemoved == 0 || left < 10_000 || left+r.EntriesRemoved != 20_000 {
		t.Errorf("%+v, and %d entries are left", r, left)
	}
	if len(protected) != 1 || protected[0].By != trim.ProtectedByPause || protected[0].Entries != left-100 {
		t.Errorf("%d are left, and protected: %+v", left, protected)
	}
	before := w.store.trims
	if r, err := s.Run(t.Context()); err != nil || r.EntriesRemoved != 0 || w.store.trims != before {
		t.Errorf("the next run: %+v, %v", r, err)
	}
}

func TestWherePausesCannotBeReadNothingIsTrimmed(t *testing.T) {
	t.Parallel()
	w := miniFixture(t)
	w.fill("rocket", 10, strings.Fields("1-1 2-1 3-1 4-1")...)
	unknown := errors.New("not known")
	o := Options{Policies: trim.Policies{Default: trim.Policy{MaxLength: 1, Exact: true}}}
	o.Paused = func(context.Context) (func(string) bool, error) { return nil, unknown }
	if r, err := New(w.store, o).Run(t.Context()); !errors.Is(err, unknown) || r.EntriesRemoved != 0 || w.store.trims != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}
