package sweep

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
	"github.com/streamkeeper/streamkeeper/trim"
)

// add appends entries of the given sizes to a stream, one a millisecond.
func (w *fixture) add(name string, since time.Time, sizes []int) {
	w.t.Helper()
	w.list(name)
	redistest.AddEntries(w.t, w.rdb, "stream:"+name, times(since, len(sizes)), func(i int) int { return sizes[i] }, "id", "7", "data")
}

// bytes is what a stream takes in memory.
func (w *fixture) bytes(name string) int64 {
	w.t.Helper()
	n, err := w.rdb.MemoryUsage(w.t.Context(), "stream:"+name, 0).Result()
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// shapes are the sizes of entries of streams.
func shapes() map[string][]int {
	rnd := rand.New(rand.NewPCG(1, 2))
	of := func(n int, size func(i int) int) (sizes []int) {
		for i := range n {
			sizes = append(sizes, size(i))
		}
		return sizes
	}
	return map[string][]int{
		"small":             of(60_000, func(int) int { return 100 }),
		"middle":            of(6000, func(int) int { return 2000 }),
		"large":             of(300, func(int) int { return 64 << 10 }),
		"mixed":             of(3000, func(int) int { return 1 << (7 + rnd.IntN(10)) }),
		"few large, mixed":  of(3000, func(int) int { return 2000 + 100_000*(rnd.IntN(10)/9) }),
		"large, then mixed": of(3000, func(i int) int { return 1000 + max(0, 40-i)*10_000 }),
		"mixed, then large": of(3000, func(i int) int { return 1000 + max(0, i-2970)*10_000 }),
	}
}

const limitOfBytes = 4 << 20

// TestStreamsComeDownToTheirLimitOfBytes holds streams of all shapes to a limit of
// memory: those of even sizes at once, others after two runs.
func TestStreamsComeDownToTheirLimitOfBytes(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		t.Parallel()
		s := start(t)
		w := newFixture(t, s.Client, s.URL())
		for name, sizes := range shapes() {
			w.add(name, time.Now().Add(-time.Hour), sizes)
		}
		for _, p := range []trim.Policy{{MaxBytes: limitOfBytes}, {MaxBytes: limitOfBytes, Exact: true, MaxLength: 50_000}} {
			tr := w.trimmer(p)
			planned := make(map[string]trim.Cut)
			if _, err := tr.Plan(t.Context(), func(c trim.Cut) { planned[c.Stream] = c }); err != nil {
				t.Fatal(err)
			}
			before := make(map[string]int64)
			for name := range shapes() {
				before[name] = w.length(name)
			}
			for run := range 3 {
				w.run(tr)
				for name := range shapes() {
					share := float64(w.bytes(name)) / limitOfBytes
					if most := 1.15; share < 0.85 || share > most || run == 0 && !strings.Contains(name, "mixed") && share > 1.05 {
						t.Errorf("%s, run %d: %.1f %% of the limit", name, run, 100*share)
					}
					gone, c := before[name]-w.length(name), planned[name]
					if diff := c.Entries - gone; run == 0 && (diff*diff > max(400, gone*gone/25) || gone > 0 && !c.Estimated) {
						t.Errorf("%s: %d went, planned %+v", name, gone, c)
					}
				}
			}
		}
	})
}

// What protects entries from other limits protects them from this one, and it
// never cuts inside a macro node.
func TestWhatIsProtectedStaysWhateverItTakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		policy  trim.Policy
		nodes   string
		group   int // how many of the newest entries it needs
		young   int
		length  int64
		protect trim.Protector
	}{
		"one macro node":        {trim.Policy{MaxBytes: 1 << 20}, "0", 0, 0, 3000, trim.ProtectedByNode},
		"one macro node, exact": {trim.Policy{MaxBytes: 1 << 20, Exact: true}, "0", 0, 0, 3000, trim.ProtectedByNode},
		"nodes of a thousand":   {trim.Policy{MaxBytes: 1 << 20, Exact: true, MaxLength: 2900}, "1000", 0, 0, 2000, ""},
		"a group":               {trim.Policy{MaxBytes: 1 << 20}, "100", 2000, 0, 2000, trim.ProtectedByGroup},
		"the least age":         {trim.Policy{MaxBytes: 1 << 20, MinAge: time.Minute}, "100", 0, 2000, 2000, trim.ProtectedByAge},
		"nothing":               {trim.Policy{MaxBytes: 1 << 20}, "100", 100, 0, 900, ""},
		"a length that is less": {trim.Policy{MaxBytes: 1 << 20, MaxLength: 100}, "100", 0, 0, 100, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := realFixture(t)
			w.rdb.ConfigSet(t.Context(), "stream-node-max-bytes", "0")
			w.rdb.ConfigSet(t.Context(), "stream-node-max-entries", c.nodes)
			sizes := make([]int, 3000)
			for i := range sizes {
				sizes[i] = 1000
			}
			w.add("car", time.Now().Add(-time.Hour), sizes[c.young:])
			w.add("car", time.Now().Add(-30*time.Second), sizes[:c.young])
			if c.group > 0 {
				w.group("g", "0")
				w.read("g", int64(3000-c.group), 0)
			}
			tr := w.trimmer(c.policy, func(o *Options) { o.RespectGroups = true })
			var planned trim.Cut
			if _, err := tr.Plan(t.Context(), func(c trim.Cut) { planned = c }); err != nil {
				t.Fatal(err)
			}
			w.run(tr)
			if n := w.length("car"); n < c.length || n > c.length+300 {
				t.Errorf("%d entries are left, want %d; planned %+v", n, c.length, planned)
			}
			w.run(tr)
			if n := w.length("car"); n < c.length*7/10 {
				t.Errorf("%d entries are left after two runs, want %d", n, c.length)
			}
			if c.protect != "" && !slices.ContainsFunc(planned.Protected, func(p trim.Protection) bool { return p.By == c.protect }) {
				t.Errorf("planned %+v, want entries protected by %s", planned, c.protect)
			}
		})
	}
}

// Where the time does not suffice to measure all, each stream has its turn before
// one has its second.
func TestEachStreamIsMeasuredInItsTurn(t *testing.T) {
	const streams, aRun = 10, 3
	var s sizes
	times := make([]int, streams)
	run := func(most int) {
		measured := make(map[string]bool)
		leftOut := false
		for i := range streams {
			name := fmt.Sprint(i)
			switch {
			case s.turn[name]:
			case len(measured) == most:
				leftOut = true
			default:
				measured[name] = true
				times[i]++
			}
		}
		s.end(measured, leftOut)
	}
	for range 2 * streams {
		run(aRun)
		if slices.Max(times)-slices.Min(times) > 1 {
			t.Fatalf("measured %d times", times)
		}
	}
	run(streams)
	run(streams)
	if s.turn != nil || slices.Min(times) < 5 {
		t.Errorf("measured %d times, and then in turn: %v", times, s.turn)
	}
}

// unreadable is a store in which one stream cannot be read any more once it was
// measured.
type unreadable struct {
	*watched
	rdb *redis.Client
}

func (u unreadable) OldestWithin(ctx context.Context, stream string, w buffer.Within) (buffer.Counted, error) {
	if stream == "bad" {
		u.rdb.Del(ctx, "stream:bad")
		u.rdb.Set(ctx, "stream:bad", "a text", 0)
	}
	return u.watched.OldestWithin(ctx, stream, w)
}

func TestAStreamThatCannotBeReadAnyMoreStopsNoOther(t *testing.T) {
	t.Parallel()
	w := realFixture(t)
	sizes := make([]int, 2000)
	for i := range sizes {
		sizes[i] = 2000
	}
	for _, name := range []string{"bad", "a", "z"} {
		w.add(name, time.Now().Add(-time.Hour), sizes)
	}
	tr := New(unreadable{w.store, w.rdb}, Options{Policies: trim.Policies{Default: trim.Policy{MaxBytes: 1 << 20}}})
	r, err := tr.Run(t.Context())
	if err != nil || r.Errors+int64(len(r.Examples)) > 2 {
		t.Errorf("%+v, %v", r, err)
	}
	for _, name := range []string{"a", "z"} {
		if n := w.bytes(name); n > 1<<20+10_000 {
			t.Errorf("stream %s takes %d bytes", name, n)
		}
	}
}

// Deleted entries take memory until their macro nodes are empty: what the others
// take by their own sizes is not what goes with them.
func TestDeletedEntriesAreNoReasonToTakeMore(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		t.Parallel()
		s := start(t)
		w := newFixture(t, s.Client, s.URL())
		const limit = 1 << 20
		sizes := make([]int, 4000)
		for i := range sizes {
			sizes[i] = 1000
		}
		rnd := rand.New(rand.NewPCG(3, 4))
		for name, deleted := range map[string]func(i int) bool{
			"a quarter":       func(int) bool { return rnd.IntN(4) == 0 },
			"half":            func(int) bool { return rnd.IntN(2) == 0 },
			"three of four":   func(i int) bool { return i%4 != 0 },
			"the older half":  func(i int) bool { return i < 2000 && i%4 != 0 },
			"the newer half":  func(i int) bool { return i >= 2000 && i%4 != 0 },
			"nearly all":      func(i int) bool { return i%20 != 0 },
			"none, by groups": func(int) bool { return false },
		} {
			t.Run(name, func(t *testing.T) {
				w.rdb.FlushDB(t.Context())
				since := time.Now().Add(-time.Hour)
				w.add("car", since, sizes)
				if strings.Contains(name, "groups") {
					w.group("g", "$")
				}
				pipe := w.rdb.Pipeline()
				for i := range sizes {
					if deleted(i) {
						pipe.XDel(t.Context(), "stream:car", fmt.Sprintf("%d-0", since.UnixMilli()+int64(i)))
					}
				}
				if _, err := pipe.Exec(t.Context()); err != nil {
					t.Fatal(err)
				}
				before := w.bytes("car")
				tr := w.trimmer(trim.Policy{MaxBytes: limit})
				for run := range 3 {
					w.run(tr)
					if share := float64(w.bytes("car")) / limit; share < 0.85 || run > 0 && share > 1.15 {
						t.Errorf("run %d: from %d to %.1f %% of the limit, %d entries", run, before, 100*share, w.length("car"))
					}
				}
			})
		}
	})
}

// What consumer groups take is told from what entries take, whatever their shape and
// however much they have read: never is much less left than the limit allows.
func TestWhatGroupsTakeIsNotWhatEntriesTake(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		t.Parallel()
		s := start(t)
		w := newFixture(t, s.Client, s.URL())
		const limit = 1 << 20
		of := func(parts ...[2]int) (sizes []int) {
			for _, p := range parts {
				for range p[0] {
					sizes = append(sizes, p[1])
				}
			}
			return sizes
		}
		for name, sizes := range map[string][]int{
			"a large newest entry": of([2]int{10_000, 100}, [2]int{1, 1_300_000}),
			"a large oldest entry": of([2]int{1, 1_300_000}, [2]int{10_000, 100}),
			"large, then small":    of([2]int{130, 20_000}, [2]int{16_000, 20}),
			"small, then large":    of([2]int{16_000, 20}, [2]int{130, 20_000}),
			"even":                 of([2]int{2700, 1000}),
		} {
			for _, read := range []int64{0, 130, 1000} {
				t.Run(fmt.Sprintf("%s, %d read", name, read), func(t *testing.T) {
					w.rdb.FlushDB(t.Context())
					w.add("car", time.Now().Add(-time.Hour), sizes)
					without := w.bytes("car")
					w.group("g", "0")
					if read > 0 {
						w.read("g", read, 0)
					}
					groups := w.bytes("car") - without
					tr := w.trimmer(trim.Policy{MaxBytes: limit})
					for run := range 3 {
						w.run(tr)
						share := float64(w.bytes("car")-groups) / limit
						if most := 1.3; share < 0.7 || share > most && w.length("car") > 1 {
							t.Errorf("run %d: from %d and %d of groups to %.0f %% of the limit, %d of %d entries", run, without, groups, 100*share, w.length("car"), len(sizes))
						}
					}
				})
			}
		}
	})
}

// A stream whose messages grow is noticed, however few they are.
func TestLargerMessagesAreNoticedInTheNextRun(t *testing.T) {
	t.Parallel()
	w := realFixture(t)
	small, large := make([]int, 20), make([]int, 200)
	for i := range large {
		large[i] = 100_000
	}
	w.add("car", time.Now().Add(-time.Hour), small)
	tr := w.trimmer(trim.Policy{MaxBytes: 5 << 20})
	w.run(tr)
	w.add("car", time.Now().Add(-time.Minute), large)
	w.run(tr)
	if share := float64(w.bytes("car")) / (5 << 20); share > 1.05 || share < 0.85 {
		t.Errorf("%.2f of the limit", share)
	}
}
