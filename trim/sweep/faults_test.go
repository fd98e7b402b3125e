package sweep

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/trim"
)

func TestALargeBacklogIsFinishedInOneRunInBoundedCalls(t *testing.T) {
	w := realFixture(t)
	w.fill("giant", 100, times(time.Now().Add(-time.Hour), 60_000)...)
	r := w.run(w.trimmer(trim.Policy{MaxLength: 1000}))
	if n := w.length("giant"); n < 1000 || n >= 1100 || r.EntriesRemoved != 60_000-n || r.StreamsTrimmed != 1 {
		t.Errorf("%d entries are left, report %+v", n, r)
	}
	if len(w.store.calls) < 4 {
		t.Errorf("it took %d calls: the first ones are to be small", len(w.store.calls))
	}
}

func TestLargeMessagesGoAFewAtATime(t *testing.T) {
	for _, p := range []trim.Policy{{MaxLength: 10}, {MaxAge: 30 * time.Minute}, {MaxLength: 10, Exact: true}, {MaxAge: 30 * time.Minute, Exact: true}} {
		t.Run(p.String(), func(t *testing.T) {
			w := realFixture(t)
			w.fill("video", 1<<20, times(time.Now().Add(-time.Hour), 60)...)
			w.fill("video", 1<<20, times(time.Now(), 10)...)
			w.run(w.trimmer(p))
			if n := w.length("video"); n != 10 {
				t.Errorf("%d entries are left, want 10", n)
			}
			for i, out := range w.store.outcomes {
				if out.Removed > 4 {
					t.Errorf("call %d removed %d MiB", i, out.Removed)
				}
			}
		})
	}
}

func TestAMacroNodeLargerThanTheSliceIsNoEndlessStandstill(t *testing.T) {
	for _, p := range []trim.Policy{{MaxLength: 10}, {MaxAge: 30 * time.Minute}, {MaxAge: 30 * time.Minute, Exact: true}} {
		t.Run(p.String(), func(t *testing.T) {
			w := realFixture(t)
			// One node of small entries stands before many of one large entry,
			// so that an average entry says nothing about the first node.
			old := times(time.Now().Add(-time.Hour), 280)
			w.fill("mixed", 2, old[:80]...)
			w.fill("mixed", 20<<10, old[80:]...)
			w.fill("mixed", 20<<10, times(time.Now(), 10)...)
			w.run(w.trimmer(p))
			if n := w.length("mixed"); n != 10 {
				t.Errorf("%d entries are left, want 10", n)
			}
			if n := len(w.store.calls); n > 60 {
				t.Errorf("it took %d calls", n)
			}
		})
	}
}

func TestAGiantStarvesNobodyAndIsWorkedOffOverTheRuns(t *testing.T) {
	w := realFixture(t)
	w.fill("giant", 16<<10, times(time.Now().Add(-time.Hour), 5000)...)
	for i := range 20 {
		w.fill(fmt.Sprintf("small-%d", i), 16<<10, times(time.Now().Add(-time.Hour), 120)...)
	}
	var first Report
	tr := w.trimmer(trim.Policy{MaxLength: 10}, func(o *Options) { o.Budget = time.Nanosecond })
	// The budget is spent at once, so each run leaves all that waits.
	first = w.run(tr)
	if first.Left == 0 {
		t.Fatalf("nothing was left to the next run: %+v", first)
	}
	tr.o.Budget = 10 * time.Minute
	served := make(map[string]int)
	tr.o.OnRemoved = func(r Removed) { served[r.Stream] = len(served) }
	second := w.run(tr)
	if second.Left != 0 || w.length("giant") != 10 {
		t.Errorf("after two runs: %+v, giant has %d", second, w.length("giant"))
	}
	for i := range 20 {
		if n := w.length(fmt.Sprintf("small-%d", i)); n != 10 {
			t.Errorf("small-%d has %d entries", i, n)
		}
	}
	if second.StreamsTrimmed != int64(len(served)) {
		t.Errorf("%d streams were trimmed, reported %d", len(served), second.StreamsTrimmed)
	}
}

func TestATurnEndsSoThatTheNextStreamHasItsOwn(t *testing.T) {
	w := realFixture(t)
	w.fill("a", 16<<10, times(time.Now().Add(-time.Hour), 200)...)
	w.fill("b", 16<<10, times(time.Now().Add(-time.Hour), 200)...)
	var order []string
	slow := func(o *Options) {
		o.OnRemoved = func(r Removed) {
			time.Sleep(turn / 2) // a slow server
			if len(order) == 0 || order[len(order)-1] != r.Stream {
				order = append(order, r.Stream)
			}
		}
	}
	w.run(w.trimmer(trim.Policy{MaxLength: 10}, slow))
	if len(order) < 4 {
		t.Errorf("turns went to %q", order)
	}
}

func TestWhatIsNoStreamIsPassedOver(t *testing.T) {
	for name, w := range map[string]*fixture{"redis": realFixture(t), "miniredis": miniFixture(t)} {
		for _, groups := range []bool{false, true} {
			for _, p := range []trim.Policy{{MaxLength: 10}, {MaxAge: time.Hour}, {MaxLength: 10, MaxAge: time.Hour, MinAge: time.Minute, Exact: true}} {
				t.Run(fmt.Sprintf("%s, groups respected %t, %s", name, groups, p), func(t *testing.T) {
					w.rdb.FlushDB(t.Context())
					// miniredis 2.40.0 answers XLEN of what is no stream twice, so
					// that what comes after it on the connection is the wrong answer.
					streams, wrong := []string{"gone", "\xff\x00 odd: \"name\""}, []string(nil)
					if name == "redis" {
						w.rdb.Set(t.Context(), "stream:text", "x", 0)
						streams, wrong = append(streams, "text"), []string{"stream_type"}
					}
					w.list(streams...)
					w.fill("good", 10, times(time.Now().Add(-2*time.Hour), 300)...)
					var malformed []string
					r := w.run(w.trimmer(p, func(o *Options) {
						o.RespectGroups = groups
						o.OnMalformed = func(kind string) { malformed = append(malformed, kind) }
					}))
					if r.Errors != 0 || r.Streams != int64(len(streams)+1) || !slices.Equal(malformed, wrong) {
						t.Errorf("report %+v, malformed %q", r, malformed)
					}
					if n := w.length("good"); n > 110 {
						t.Errorf("%d entries are left", n)
					}
				})
			}
		}
	}
}

func TestIDsThatAreNotTimesAreNeverTrimmedByAge(t *testing.T) {
	ns := time.Now().UnixNano()
	for name, w := range map[string]*fixture{"redis": realFixture(t), "miniredis": miniFixture(t)} {
		for _, p := range []trim.Policy{{MaxAge: time.Hour}, {MaxAge: time.Hour, Exact: true}, {MaxLength: 500, MaxAge: time.Hour, MinAge: time.Minute}} {
			t.Run(name+", "+p.String(), func(t *testing.T) {
				w.rdb.FlushDB(t.Context())
				w.fill("counters", 10, counters(1, 300)...)
				w.fill("nanoseconds", 10, fmt.Sprintf("%d-1", ns), fmt.Sprintf("%d-2", ns))
				w.fill("ahead at last", 10, append(times(time.Now().Add(-3*time.Hour), 300), fmt.Sprintf("%d-1", ns))...)
				w.fill("counters at first", 10, append(counters(1, 200), times(time.Now(), 5)...)...)
				tr := w.trimmer(p)
				for range 2 {
					w.run(tr)
				}
				for stream, want := range map[string]int64{"counters": 300, "nanoseconds": 2, "ahead at last": 301, "counters at first": 5} {
					if n := w.length(stream); n != want {
						t.Errorf("%s has %d entries, want %d", stream, n, want)
					}
				}
			})
		}
	}
}

func TestAStreamMadeAnewWithOtherIDsIsLookedAtAgain(t *testing.T) {
	w := realFixture(t)
	w.fill("car", 10, times(time.Now().Add(-3*time.Hour), 300)...)
	tr := w.trimmer(trim.Policy{MaxAge: time.Hour})
	w.run(tr)
	if n := w.length("car"); n != 0 {
		t.Fatalf("%d old entries are left", n)
	}
	w.rdb.Del(t.Context(), "stream:car")
	w.fill("car", 10, counters(1, 300)...)
	w.run(tr)
	if n := w.length("car"); n != 300 {
		t.Errorf("%d of 300 entries are left whose ids are no times", n)
	}
}

func TestWhenTheClocksDisagreeOnlyPlainLengthsAreTrimmed(t *testing.T) {
	w := realFixture(t)
	old := times(time.Now().Add(-3*time.Hour), 1000)
	for _, name := range []string{"length", "age", "protected"} {
		w.fill(name, 10, old...)
	}
	rules, err := trim.ParseRules("length: max_length=100; age: max_age=1h; protected: max_length=100, min_age=1h", trim.Policy{Exact: true})
	if err != nil {
		t.Fatal(err)
	}
	tr := New(w.store, Options{Policies: trim.Policies{Rules: rules}})
	lengths := func() [3]int64 { return [3]int64{w.length("length"), w.length("age"), w.length("protected")} }

	w.store.nowErr = fmt.Errorf("%w by 26h", redisconn.ErrClock)
	if _, err := tr.Run(t.Context()); !errors.Is(err, redisconn.ErrClock) {
		t.Errorf("the run says %v", err)
	}
	if got := lengths(); got != [3]int64{100, 1000, 1000} {
		t.Errorf("lengths %v", got)
	}
	var planned []trim.Cut
	if _, err := tr.Plan(t.Context(), func(a trim.Cut) { planned = append(planned, a) }); !errors.Is(err, redisconn.ErrClock) || len(planned) > 0 {
		t.Errorf("the plan says %v, %v", planned, err)
	}
	w.store.nowErr = nil
	w.run(tr)
	if got := lengths(); got != [3]int64{100, 0, 100} {
		t.Errorf("with a good clock: lengths %v", got)
	}
}

func TestALostConnectionBreaksTheRunOffAndTheNextOneGoesOn(t *testing.T) {
	w := realFixture(t)
	for i := range 30 {
		w.fill(fmt.Sprintf("car-%d", i), 10, times(time.Now().Add(-2*time.Hour), 3000)...)
	}
	w.store.cutFrom, w.store.cutErr = 2, fmt.Errorf("trimming: %w", io.EOF)
	tr := w.trimmer(trim.Policy{MaxLength: 1000, MaxAge: time.Hour})
	r, err := tr.Run(t.Context())
	if !errors.Is(err, io.EOF) || r.EntriesRemoved == 0 {
		t.Errorf("the run says %+v, %v", r, err)
	}
	w.store.cutFrom = 0
	w.run(tr)
	for i := range 30 {
		if n := w.length(fmt.Sprintf("car-%d", i)); n != 0 {
			t.Errorf("car-%d has %d entries", i, n)
		}
	}
}

func TestATrimmerWorksWhereLimitsAreIgnored(t *testing.T) {
	w := miniFixture(t)
	w.fill("long", 100, times(time.Now().Add(-time.Minute), 5000)...)
	w.fill("old", 100, times(time.Now().Add(-2*time.Hour), 500)...)
	w.run(w.trimmer(trim.Policy{MaxLength: 1000, MaxAge: time.Hour}))
	if long, old := w.length("long"), w.length("old"); long != 1000 || old != 0 {
		t.Errorf("%d and %d entries are left, want 1000 and 0", long, old)
	}
}

func TestARunCanBeStopped(t *testing.T) {
	w := realFixture(t)
	w.fill("giant", 100, times(time.Now().Add(-time.Hour), 60_000)...)
	ctx, stop := contextThatEnds(t)
	tr := w.trimmer(trim.Policy{MaxLength: 10}, func(o *Options) { o.OnRemoved = func(Removed) { stop() } })
	if _, err := tr.Run(ctx); err == nil {
		t.Error("it ran on")
	}
}
