package sweep

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
	"github.com/streamkeeper/streamkeeper/trim"
)

// TestPlanAndRunSayTheSameOfWhatStays compares what protects entries in a plan,
// in the run after it, and in a plan of what that left.
func TestPlanAndRunSayTheSameOfWhatStays(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		t.Parallel()
		s := start(t)
		w := newFixture(t, s.Client, s.URL())
		// The streams grow evenly, as is assumed where entries are not counted. 200
		// entries are younger than young.
		const each = 7200 * time.Millisecond
		const young = 2009 * each / 10
		w.store.now = time.Now().Truncate(time.Millisecond)
		for _, c := range []struct {
			name   string
			policy trim.Policy
			old    int // entries; 200 more are young
			group  bool
			left   int64
			want   []trim.Protection
		}{
			{"within the limit", trim.Policy{MaxLength: 1000}, 800, false, 1000, nil},
			{"a part of a macro node", trim.Policy{MaxLength: 950}, 800, false, 1000, []trim.Protection{{By: trim.ProtectedByNode, Entries: 50, Stay: 100}}},
			{"a node and a part of one", trim.Policy{MaxLength: 850}, 800, false, 900, []trim.Protection{{By: trim.ProtectedByNode, Entries: 50, Stay: 100}}},
			{"exactly", trim.Policy{MaxLength: 850, Exact: true}, 800, false, 850, nil},
			{"a part of a macro node is too old", trim.Policy{MaxAge: young}, 850, false, 250, []trim.Protection{{By: trim.ProtectedByNode, Entries: 50, Stay: 100}}},
			{"exactly by age", trim.Policy{MaxAge: young, Exact: true}, 850, false, 200, nil},
			{"young ones stay", trim.Policy{MaxLength: 100, MinAge: young}, 800, false, 200, []trim.Protection{{By: trim.ProtectedByAge, Entries: 100, Stay: 200, Age: young}}},
			{"young ones and a part of a node", trim.Policy{MaxLength: 180, MinAge: young}, 850, false, 250, []trim.Protection{
				{By: trim.ProtectedByAge, Entries: 20, Stay: 200, Age: young}, {By: trim.ProtectedByNode, Entries: 50, Stay: 100},
			}},
			{"few young ones", trim.Policy{MaxLength: 180, MinAge: young, Exact: true}, 10, false, 200, []trim.Protection{{By: trim.ProtectedByAge, Entries: 20, Stay: 200, Age: young}}},
			{"a group needs half", trim.Policy{MaxLength: 100}, 800, true, 500, []trim.Protection{{By: trim.ProtectedByGroup, Entries: 400, Group: "g", Stay: 500}}},
			{"a group needs half, by age", trim.Policy{MaxAge: young, Exact: true}, 800, true, 500, []trim.Protection{{By: trim.ProtectedByGroup, Entries: 300, Group: "g", Stay: 500}}},
			{"a group and young ones", trim.Policy{MaxLength: 100, MinAge: young, Exact: true}, 800, true, 500, []trim.Protection{
				{By: trim.ProtectedByAge, Entries: 100, Stay: 200, Age: young}, {By: trim.ProtectedByGroup, Entries: 300, Group: "g", Stay: 500},
			}},
		} {
			t.Run(c.name, func(t *testing.T) {
				w.rdb.FlushDB(t.Context())
				ids := make([]string, c.old+200)
				for i := range ids {
					ids[i] = buffer.TimeID(w.store.now.Add(time.Duration(i-len(ids)) * each)).String()
				}
				w.fill("car", 10, ids...)
				if c.group {
					w.group("g", ids[499])
				}
				var learnt []Learnt
				tr := w.trimmer(c.policy, func(o *Options) {
					o.RespectGroups = c.group
					o.OnStream = func(l Learnt) { learnt = append(learnt, l) }
				})
				length := w.length("car")
				before := w.plan(tr)
				w.run(tr)
				after := w.plan(tr)
				if n := w.length("car"); n != c.left || before.Entries != length-n || after.Entries != 0 {
					t.Errorf("%d entries are left, want %d; planned %d before and %d after", n, c.left, before.Entries, after.Entries)
				}
				if len(learnt) != 1 || learnt[0].Entries != c.left || !slices.Equal(without(learnt[0].Protected), without(c.want)) {
					t.Errorf("learnt %+v, want %d entries and %+v", learnt, c.left, c.want)
				}
				for name, planned := range map[string]trim.Cut{"before": before, "after": after} {
					if !slices.Equal(planned.Protected, c.want) {
						t.Errorf("planned %s: protected %+v, want %+v", name, planned.Protected, c.want)
					}
				}
			})
		}
	})
}

// without are protections without what only a plan knows.
func without(all []trim.Protection) []trim.Protection {
	all = slices.Clone(all)
	for i := range all {
		if all[i].By == trim.ProtectedByNode {
			all[i].Stay = 0
		}
	}
	return all
}

// plan is the only cut of a plan.
func (w *fixture) plan(tr *Sweeper) (planned trim.Cut) {
	w.t.Helper()
	if _, err := tr.Plan(w.t.Context(), func(c trim.Cut) { planned = c }); err != nil {
		w.t.Fatal(err)
	}
	return planned
}

// TestAPlanSendsNoCommandThatWrites plans over a connection that refuses them.
func TestAPlanSendsNoCommandThatWrites(t *testing.T) {
	s := redistest.Start(t)
	w := newFixture(t, s.Client, s.URL())
	w.fill("length", 4000, times(time.Now().Add(-3*time.Hour), 2000)...)
	w.fill("age", 100, times(time.Now().Add(-2*time.Hour), 7000)...)
	w.fill("car", 100, times(time.Now().Add(-time.Hour), 1000)...)
	w.group("without consumers", "0")
	w.limitMemory(2)
	b, err := buffer.Open(t.Context(), buffer.Options{Connection: redisconn.Connection{URL: s.URL()}, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	policy := trim.Policy{MaxLength: 1900, MaxAge: 150 * time.Minute, MinAge: testMinAge}
	tr := New(b, Options{Policies: trim.Policies{Default: policy}, RespectGroups: true, Pressure: 0.5})
	var planned []string
	report, err := tr.Plan(t.Context(), func(c trim.Cut) { planned = append(planned, fmt.Sprintf("%s %d", c.Stream, c.Entries)) })
	if err != nil || report.Errors > 0 || report.StreamsTrimmed == 0 || report.Pressure == "" {
		t.Errorf("%+v, %v: %q", report, err, planned)
	}
	if n := w.length("length") + w.length("age") + w.length("car"); n != 10_000 {
		t.Errorf("%d entries are left of 10000", n)
	}
}
