package sweep

import (
	"fmt"
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

// What consumer groups take is not freed with the entries, whoever says it.
func TestWhatGroupsTakeIsNotSaidToBeFreed(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		t.Parallel()
		s := start(t)
		w := newFixture(t, s.Client, s.URL())
		for name, policy := range map[string]trim.Policy{
			"length":   {MaxLength: 500},
			"age":      {MaxAge: time.Minute},
			"both":     {MaxLength: 500, MaxAge: 2 * time.Hour},
			"pressure": {MaxLength: 100_000},
		} {
			for _, size := range []int{20, 500, 10_000} {
				t.Run(fmt.Sprintf("%s, entries of %d bytes", name, size), func(t *testing.T) {
					w.rdb.FlushDB(t.Context())
					w.plantPending(min(6000, 8_000_000/size), size)
					before, entries := w.bytes("car"), w.length("car")
					tr := w.trimmer(policy)
					if name == "pressure" {
						w.limitMemory(0.82)
						tr, _ = w.pressed(policy)
					}
					var planned trim.Cut
					plan, err := tr.Plan(t.Context(), func(c trim.Cut) { planned = c })
					if err != nil {
						t.Fatal(err)
					}
					report := w.run(tr)
					w.rdb.ConfigSet(t.Context(), "maxmemory", "0")
					freed, gone := before-w.bytes("car"), entries-w.length("car")
					if gone == 0 || freed <= 0 {
						t.Fatalf("%d entries of %d bytes went", gone, freed)
					}
					if name == "pressure" && (planned.Entries < gone*2/3 || planned.Entries > gone*3/2) {
						t.Errorf("%d entries were planned, and %d went", planned.Entries, gone)
					}
					for what, bytes := range map[string]int64{"the run": report.BytesRemoved, "the plan": plan.BytesRemoved, "the plan of the stream": planned.Bytes} {
						if share := float64(bytes) / float64(freed); share < 0.7 || share > 1.35 {
							t.Errorf("%s says %d bytes, and %d were freed (%.2f)", what, bytes, freed, share)
						}
					}
				})
			}
		}
	})
}

// plantPending makes a stream of which five groups were given everything.
func (w *fixture) plantPending(entries, size int) {
	w.t.Helper()
	sizes := make([]int, entries)
	for i := range sizes {
		sizes[i] = size
	}
	w.add("car", time.Now().Add(-time.Hour), sizes)
	for n := range 5 {
		group := fmt.Sprint("g", n)
		w.group(group, "0")
		w.read(group, int64(entries), int64(entries))
	}
}
