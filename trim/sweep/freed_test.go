package sweep

import (
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
	"github.com/streamkeeper/streamkeeper/trim"
)

// What a run says that it freed is about what it did, and what the plan said.
func TestARunSaysAboutHowManyBytesItFreed(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		t.Parallel()
		s := start(t)
		w := newFixture(t, s.Client, s.URL())
		small, large := make([]int, 5000), make([]int, 300)
		for i := range small {
			small[i] = 300
		}
		for i := range large {
			large[i] = 50_000
		}
		for name, policy := range map[string]trim.Policy{
			"length":      {MaxLength: 100},
			"age":         {MaxAge: time.Minute},
			"bytes":       {MaxBytes: 1 << 20},
			"exact":       {MaxLength: 100, Exact: true},
			"all at once": {MaxLength: 200, MaxAge: 50 * time.Minute, MaxBytes: 1 << 20},
		} {
			for kind, sizes := range map[string][]int{"small": small, "large": large} {
				t.Run(name+", "+kind, func(t *testing.T) {
					w.rdb.FlushDB(t.Context())
					w.add("car", time.Now().Add(-time.Hour), sizes)
					w.add("bus", time.Now().Add(-time.Second), sizes[:5]) // loses nothing
					before := w.bytes("car")
					tr := w.trimmer(policy)
					var planned trim.Cut
					plan, err := tr.Plan(t.Context(), func(c trim.Cut) { planned = c })
					if err != nil {
						t.Fatal(err)
					}
					report, err := tr.Run(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					freed := before - w.bytes("car")
					if freed < before/5 || report.EntriesRemoved == 0 {
						t.Fatalf("freed %d of %d bytes", freed, before)
					}
					for what, bytes := range map[string]int64{"the run": report.BytesRemoved, "the plan": plan.BytesRemoved, "the plan of the stream": planned.Bytes} {
						if share := float64(bytes) / float64(freed); share < 0.8 || share > 1.25 {
							t.Errorf("%s says %d bytes, and %d were freed (%.2f)", what, bytes, freed, share)
						}
					}
				})
			}
		}
	})
}
