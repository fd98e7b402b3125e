package sweep

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
	"github.com/streamkeeper/streamkeeper/trim"
)

// TestMacroNodesLargerThanTheConfigurationAreNoStandstill trims streams whose
// nodes were written under other limits than the server has now.
func TestMacroNodesLargerThanTheConfigurationAreNoStandstill(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		t.Parallel()
		s := start(t, "--stream-node-max-entries", "0", "--stream-node-max-bytes", "0")
		w := newFixture(t, s.Client, s.URL())
		for _, limits := range [][2]string{{"0", "0"}, {"100", "4096"}} {
			for _, c := range []struct {
				policy trim.Policy
				groups bool
				most   int64
			}{
				{trim.Policy{MaxLength: 500}, false, 500},
				{trim.Policy{MaxLength: 500}, true, 500},
				{trim.Policy{MaxAge: time.Hour}, false, 750},
				{trim.Policy{MaxLength: 500, MaxAge: time.Hour}, false, 500},
				{trim.Policy{MaxLength: 500, MinAge: time.Hour}, false, 750},
				{trim.Policy{MaxLength: 2000}, false, 2000},
			} {
				t.Run(fmt.Sprintf("limits now %q, %s, groups %t", limits, c.policy, c.groups), func(t *testing.T) {
					w.rdb.FlushDB(t.Context())
					w.rdb.ConfigSet(t.Context(), "stream-node-max-entries", "0")
					w.rdb.ConfigSet(t.Context(), "stream-node-max-bytes", "0")
					w.fill("car", 10, times(time.Now().Add(-2*time.Hour), 2250)...)
					w.fill("car", 10, times(time.Now().Add(-time.Minute), 750)...)
					w.rdb.ConfigSet(t.Context(), "stream-node-max-entries", limits[0])
					w.rdb.ConfigSet(t.Context(), "stream-node-max-bytes", limits[1])
					tr := w.trimmer(c.policy, func(o *Options) { o.RespectGroups = c.groups })
					var planned trim.Cut
					if _, err := tr.Plan(t.Context(), func(a trim.Cut) { planned = a }); err != nil {
						t.Fatal(err)
					}
					ids := w.remaining("car")
					w.run(tr)
					left := w.length("car")
					if left > c.most || left < min(c.most, keeps(c.policy, 750)) {
						t.Errorf("%d entries are left, want %d at most", left, c.most)
					}
					if got := w.remaining("car"); !slices.Equal(got, ids[int64(len(ids))-left:]) {
						t.Errorf("what is left is not the newest part")
					}
					if gone := 3000 - left; c.policy.MinAge == 0 && planned.Entries != gone { // the stream does not grow evenly
						t.Errorf("planned %+v, %d went", planned, gone)
					}
				})
			}
		}
	})
}

// keeps is how many entries a policy keeps at least, of which so many are young.
func keeps(p trim.Policy, young int64) int64 {
	if p.MaxLength > 0 {
		return p.MaxLength
	}
	return young
}

func TestALastIDThatIsNoTimeIsReadAlikeByPlanAndRun(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		t.Parallel()
		s := start(t)
		w := newFixture(t, s.Client, s.URL())
		ahead := fmt.Sprintf("%d-1", time.Now().Add(72*time.Hour).UnixMilli())
		for _, p := range []trim.Policy{
			{MaxAge: time.Hour},
			{MaxAge: time.Hour, Exact: true},
			{MaxLength: 500, MaxAge: time.Hour, MinAge: time.Minute},
		} {
			t.Run(p.String(), func(t *testing.T) {
				w.rdb.FlushDB(t.Context())
				w.fill("car", 10, append(times(time.Now().Add(-3*time.Hour), 300), ahead)...)
				w.rdb.XDel(t.Context(), "stream:car", ahead)
				var malformed []string
				tr := w.trimmer(p, func(o *Options) { o.OnMalformed = func(kind string) { malformed = append(malformed, kind) } })
				if _, err := tr.Plan(t.Context(), func(a trim.Cut) { t.Errorf("planned %+v", a) }); err != nil {
					t.Fatal(err)
				}
				w.run(tr)
				if n := w.length("car"); n != 300 {
					t.Errorf("%d of 300 entries are left", n)
				}
				if !slices.Equal(malformed, []string{"stream_id", "stream_id"}) {
					t.Errorf("plan and run counted %q", malformed)
				}
			})
		}
	})
}

// TestAMacroNodeLargerThanWhatAGroupLeaves trims streams of one node, of which
// a consumer group needs the end.
func TestAMacroNodeLargerThanWhatAGroupLeaves(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		t.Parallel()
		s := start(t, "--stream-node-max-entries", "0", "--stream-node-max-bytes", "0")
		w := newFixture(t, s.Client, s.URL())
		for _, c := range []struct {
			policy           trim.Policy
			needs, want      int64
			entries, nodeNow int
		}{
			{trim.Policy{MaxLength: 100}, 20, 100, 3000, 0},
			{trim.Policy{MaxLength: 100}, 50, 100, 3000, 0},
			{trim.Policy{MaxLength: 100}, 200, 200, 3000, 0},
			{trim.Policy{MaxLength: 100}, 1499, 1499, 3000, 0},
			{trim.Policy{MaxLength: 100}, 1499, 1499, 3000, 100},
			{trim.Policy{MaxLength: 100}, 2500, 2500, 3000, 100},
			{trim.Policy{MaxLength: 100}, 2950, 3000, 3000, 100}, // less than a macro node too many
			{trim.Policy{MaxAge: time.Hour}, 1499, 1499, 3000, 0},
			{trim.Policy{MaxAge: time.Hour}, 2500, 2500, 3000, 100},
			{trim.Policy{MaxLength: 100}, 2893, 2893, 3000, 100}, // a little more than a node as Redis makes it
			{trim.Policy{MaxAge: time.Hour}, 2893, 2893, 3000, 100},
			{trim.Policy{MaxLength: 300, MaxAge: time.Hour, Exact: true}, 20, 20, 373, 100},
			{trim.Policy{MaxAge: time.Hour, Exact: true}, 2990, 2990, 3000, 100},
		} {
			t.Run(fmt.Sprintf("%s, the group needs %d of %d, nodes now %d", c.policy, c.needs, c.entries, c.nodeNow), func(t *testing.T) {
				w.rdb.FlushDB(t.Context())
				w.rdb.ConfigSet(t.Context(), "stream-node-max-entries", "0")
				ids := times(time.Now().Add(-2*time.Hour), c.entries)
				w.fill("car", 10, ids...)
				w.group("storage", ids[int64(len(ids))-c.needs-1])
				w.rdb.XGroupCreateConsumer(t.Context(), "stream:car", "storage", "c")
				w.rdb.ConfigSet(t.Context(), "stream-node-max-entries", fmt.Sprint(c.nodeNow))
				tr := w.trimmer(c.policy, func(o *Options) { o.RespectGroups = true })
				var planned trim.Cut
				if _, err := tr.Plan(t.Context(), func(a trim.Cut) { planned = a }); err != nil {
					t.Fatal(err)
				}
				w.run(tr)
				if n := w.length("car"); n != c.want {
					t.Errorf("%d entries are left, want %d", n, c.want)
				}
				if gone := int64(c.entries) - c.want; planned.Entries != gone {
					t.Errorf("planned %+v, %d went", planned, gone)
				}
			})
		}
	})
}

func TestPendingIDsWhoseEntriesAreGoneHoldNothingHoweverMany(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		t.Parallel()
		s := start(t)
		w := newFixture(t, s.Client, s.URL())
		w.fill("car", 10, times(time.Now().Add(-2*time.Hour), 23_000)...)
		w.group("storage", "0")
		w.read("storage", 23_000, 20_000)
		w.rdb.XTrimMaxLen(t.Context(), "stream:car", 3000)
		for _, id := range w.remaining("car") {
			w.rdb.XAck(t.Context(), "stream:car", "storage", id)
		}
		w.run(w.trimmer(trim.Policy{MaxLength: 100}, func(o *Options) { o.RespectGroups = true }))
		if n := w.length("car"); n != 100 {
			t.Errorf("%d entries are left, want 100", n)
		}
	})
}

func TestAnEntryThatIsYoungStaysWhateverTheLastIDIs(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		t.Parallel()
		s := start(t)
		w := newFixture(t, s.Client, s.URL())
		now := time.Now()
		ahead := now.Add(50 * 24 * time.Hour)
		young := times(now.Add(-100*time.Second), 1000)
		for _, c := range []struct {
			name string
			ids  []string
			want int64
		}{
			{"young entries", young, 1000},
			{"old and young entries", append(times(now.Add(-5*time.Hour), 1000), young...), 1000},
			{"counters and young entries", append(counters(1, 1000), young...), 1000},
			{"young entries, and ones with ids ahead", append(slices.Clone(young), times(ahead, 500)...), 1500},
			{"only entries with ids ahead", times(ahead, 500), 100},
			{"counters", counters(1, 500), 100},
		} {
			for _, exact := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s, exact %t", c.name, exact), func(t *testing.T) {
					w.rdb.FlushDB(t.Context())
					w.fill("car", 10, c.ids...)
					w.rdb.Do(t.Context(), "XSETID", "stream:car", fmt.Sprintf("%d-0", ahead.Add(time.Hour).UnixMilli()))
					tr := w.trimmer(trim.Policy{MaxLength: 100, MinAge: time.Hour, Exact: exact})
					w.run(tr)
					if n := w.length("car"); n != c.want {
						t.Errorf("%d entries are left, want %d", n, c.want)
					}
				})
			}
		}
	})
}

func TestAgesThatReachBackBeforeIDsBegin(t *testing.T) {
	w := realFixture(t)
	const century = 100 * 365 * 24 * time.Hour
	for _, c := range []struct {
		policy trim.Policy
		want   int64
	}{
		{trim.Policy{MaxAge: century}, 300},
		{trim.Policy{MaxAge: century, Exact: true}, 300},
		{trim.Policy{MaxLength: 100, MaxAge: century}, 100},
		{trim.Policy{MaxLength: 100, MinAge: century}, 300},
		{trim.Policy{MaxLength: 100, MinAge: century, Exact: true}, 300},
	} {
		t.Run(c.policy.String(), func(t *testing.T) {
			w.rdb.FlushDB(t.Context())
			w.fill("car", 10, times(time.Now().Add(-3*time.Hour), 300)...)
			if _, err := w.trimmer(c.policy).Plan(t.Context(), func(trim.Cut) {}); err != nil {
				t.Error(err)
			}
			if r := w.run(w.trimmer(c.policy)); r.Errors != 0 {
				t.Errorf("%+v", r)
			}
			if n := w.length("car"); n != c.want {
				t.Errorf("%d entries are left, want %d", n, c.want)
			}
		})
	}
}

// busyStore appends to a stream after each call, as a fast producer does while
// the answer is on its way.
type busyStore struct {
	*watched
	append func()
	calls  int
}

func (s *busyStore) Trims(ctx context.Context, calls []buffer.TrimRequest) ([]buffer.TrimResult, error) {
	if s.calls++; s.calls > 500 {
		return nil, fmt.Errorf("call %d: the run does not end", s.calls)
	}
	defer s.append()
	return s.watched.Trims(ctx, calls)
}

func TestExactTrimmingEndsBesideAFastProducer(t *testing.T) {
	for _, p := range []trim.Policy{{MaxLength: 100, Exact: true}, {MaxLength: 100}} {
		t.Run(p.String(), func(t *testing.T) {
			w := realFixture(t)
			w.fill("car", 6000, times(time.Now().Add(-time.Hour), 1000)...)
			store := &busyStore{watched: w.store, append: func() {
				ids := make([]string, 100)
				for i := range ids {
					ids[i] = "*"
				}
				w.fill("car", 6000, ids...)
			}}
			r, err := New(store, Options{Policies: trim.Policies{Default: p}}).Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if r.EntriesRemoved < 900 || r.Backlog != 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestWhatABudgetLeavesIsCounted(t *testing.T) {
	w := realFixture(t)
	old := times(time.Now().Add(-2*time.Hour), 5000)
	w.fill("length", 16<<10, old[:2000]...)
	w.fill("age", 16<<10, old[:2000]...)
	rules, err := trim.ParseRules("length: max_length=100; age: max_age=1h", trim.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	tr := New(w.store, Options{Policies: trim.Policies{Rules: rules}, Budget: time.Nanosecond})
	r := w.run(tr)
	if want := w.length("length") - 100 + w.length("age"); r.Left != 2 || r.Backlog != want {
		t.Errorf("a backlog of %d entries in %d streams, want %d in 2", r.Backlog, r.Left, want)
	}
	tr.o.Budget = 0
	if r := w.run(tr); r.Left != 0 || r.Backlog != 0 || w.length("length") != 100 || w.length("age") != 0 {
		t.Errorf("without a budget: %+v", r)
	}
}

// exactByID is a store whose server may not be trusted with MINID.
type exactByID struct{ *watched }

func (s exactByID) AsSent(t buffer.TrimRequest) buffer.TrimRequest {
	t.Exact = t.Exact || !t.Before.IsZero() || !t.MinAgeFloor.IsZero() || t.Groups != nil
	return t
}

func (s exactByID) Trims(ctx context.Context, calls []buffer.TrimRequest) ([]buffer.TrimResult, error) {
	sent := make([]buffer.TrimRequest, len(calls))
	for i, t := range calls {
		sent[i] = s.AsSent(t)
	}
	return s.watched.Trims(ctx, sent)
}

func TestAPlanKnowsWhereACallIsSentAsAnExactOne(t *testing.T) {
	t.Parallel()
	w := realFixture(t)
	for _, old := range []int{50, 150} {
		w.rdb.FlushDB(t.Context())
		w.fill("car", 10, append(times(time.Now().Add(-2*time.Hour), old), times(time.Now().Add(-time.Minute), 850)...)...)
		tr := New(exactByID{w.store}, Options{Policies: trim.Policies{Default: trim.Policy{MaxAge: time.Hour}}})
		planned := w.plan(tr)
		r := w.run(tr)
		if planned.Entries != int64(old) || r.EntriesRemoved != planned.Entries || len(planned.Protected) != 0 {
			t.Errorf("%d are old: planned %+v, %d went", old, planned, r.EntriesRemoved)
		}
	}
}
