package sweep

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
	"github.com/streamkeeper/streamkeeper/trim"
)

// Entries that go inside a macro node free nothing until the node is empty: nobody says
// that they do, and plan and log say why.
func TestEntriesInsideAMacroNodeAreNotSaidToFreeMemory(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		t.Parallel()
		s := start(t)
		w := newFixture(t, s.Client, s.URL())
		for name, c := range map[string]struct {
			policy trim.Policy
			// nodes is how many entries one holds, 0 for any number.
			nodes, entries int
			said           bool
		}{
			"length":                 {trim.Policy{MaxLength: 1000}, 0, 5000, true},
			"age":                    {trim.Policy{MaxAge: 30 * time.Second}, 0, 5000, true},
			"exact":                  {trim.Policy{MaxLength: 1000, Exact: true}, 0, 5000, true},
			"few, exact":             {trim.Policy{MaxLength: 4900, Exact: true}, 0, 5000, true},
			"some nodes, then one":   {trim.Policy{MaxLength: 500}, 2000, 20_000, true},
			"all of a node":          {trim.Policy{MaxAge: time.Second}, 0, 5000, false},
			"nodes as usual":         {trim.Policy{MaxLength: 1000}, 100, 5000, false},
			"nodes as usual, exact":  {trim.Policy{MaxLength: 1050, Exact: true}, 100, 5000, false},
			"larger nodes than most": {trim.Policy{MaxLength: 3000}, 500, 5000, false},
		} {
			for _, groups := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, groups %t", name, groups), func(t *testing.T) {
					w.rdb.FlushDB(t.Context())
					w.rdb.ConfigSet(t.Context(), "stream-node-max-bytes", "0")
					w.rdb.ConfigSet(t.Context(), "stream-node-max-entries", fmt.Sprint(c.nodes))
					sizes := make([]int, c.entries)
					for i := range sizes {
						sizes[i] = 200
					}
					w.add("car", time.Now().Add(-time.Minute), sizes[:c.entries/2])
					w.add("car", time.Now().Add(-20*time.Second), sizes[c.entries/2:])
					if groups {
						w.group("g", "$")
					}
					before := w.bytes("car")
					var log bytes.Buffer
					tr := w.trimmer(c.policy, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
					planned := w.plan(tr)
					log.Reset()
					report := w.run(tr)
					var freed int64
					if w.length("car") > 0 {
						freed = before - w.bytes("car")
					} else {
						freed = before
					}
					for what, said := range map[string]int64{"the plan": planned.Bytes, "the run": report.BytesRemoved} {
						if diff := said - freed; report.EntriesRemoved == 0 || diff > freed/4+100 || diff < -freed/4-100 {
							t.Errorf("%s says %d bytes, and %d were freed; %+v", what, said, freed, report)
						}
					}
					if got := strings.Contains(planned.Reason(), "inside a macro node"); got != c.said {
						t.Errorf("the plan says %q", planned.Reason())
					}
					if got := strings.Count(log.String(), "entries inside macro nodes"); got > 1 || (got == 1) != c.said {
						t.Errorf("the log says %d times so:\n%s", got, log.String())
					}
				})
			}
		}
	})
}

// Memory pressure takes nothing out of a single macro node: that would free nothing.
func TestMemoryPressureTakesNothingOutOfASingleMacroNode(t *testing.T) {
	w := realFixture(t)
	w.rdb.ConfigSet(t.Context(), "stream-node-max-bytes", "0")
	w.rdb.ConfigSet(t.Context(), "stream-node-max-entries", "0")
	sizes := make([]int, 5000)
	for i := range sizes {
		sizes[i] = 1000
	}
	w.add("car", time.Now().Add(-time.Hour), sizes)
	w.limitMemory(0.9)
	tr, _ := w.pressed(trim.Policy{MaxLength: 10_000, Exact: true})
	planned := w.plan(tr)
	w.run(tr)
	if n := w.length("car"); n != 5000 || planned.Entries > 0 {
		t.Errorf("%d entries are left, planned %+v", n, planned)
	}
}
