package sweep

import (
	"fmt"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
	"github.com/streamkeeper/streamkeeper/trim"
)

// A plan finds the same in a stream over its limit of bytes as the run does, whatever else
// takes entries from it, and however few a macro node holds; both say what is freed.
func TestPlanAndRunAgreeOnALimitOfBytesBesideOthers(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		t.Parallel()
		s := start(t)
		w := newFixture(t, s.Client, s.URL())
		for _, nodes := range []string{"1", "10", "100"} {
			for _, size := range []int{20, 200, 2000} {
				entries := 6_000_000 / (size + 100)
				if nodes == "1" {
					entries = min(entries, 9000) // Redis counts no more nodes
				}
				sizes := make([]int, entries)
				for i := range sizes {
					sizes[i] = size
				}
				half := int64(len(sizes) / 2)
				for what, policy := range map[string]trim.Policy{
					"alone":        {},
					"and a length": {MaxLength: half},
					"and an age":   {MaxAge: 30 * time.Second},
					"and exact":    {MaxLength: half, Exact: true},
				} {
					t.Run(fmt.Sprintf("%s entries a node, of %d bytes, %s", nodes, size, what), func(t *testing.T) {
						w.rdb.FlushDB(t.Context())
						w.rdb.ConfigSet(t.Context(), "stream-node-max-entries", nodes)
						w.add("car", time.Now().Add(-time.Minute), sizes[half:])
						w.add("car", time.Now().Add(-20*time.Second), sizes[:half])
						policy.MaxBytes = max(1<<20, w.bytes("car")/3)
						w.agreesOnBytes(t, policy)
					})
				}
			}
		}
	})
}

func (w *fixture) agreesOnBytes(t *testing.T, policy trim.Policy) {
	t.Helper()
	before, entries := w.bytes("car"), w.length("car")
	tr := w.trimmer(policy)
	planned := w.plan(tr)
	report := w.run(tr)
	gone, freed := entries-w.length("car"), before-w.bytes("car")
	if diff := planned.Entries - gone; gone == 0 || diff < -gone/10 || diff > gone/10 {
		t.Errorf("planned %+v, and %d went", planned, gone)
	}
	for _, p := range planned.Protected {
		if !p.IsRest() {
			t.Errorf("planned %+v, and the run left %d of %d bytes", planned, w.bytes("car"), policy.MaxBytes)
		}
	}
	for what, bytes := range map[string]int64{"the plan": planned.Bytes, "the run": report.BytesRemoved} {
		if share := float64(bytes) / float64(freed); share < 0.8 || share > 1.25 {
			t.Errorf("%s says %d bytes, and %d were freed (%.2f)", what, bytes, freed, share)
		}
	}
}
