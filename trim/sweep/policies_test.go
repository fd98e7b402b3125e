package sweep

import (
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/trim"
)

// Other policies change nothing in what was learnt, nor in how far memory pressure has
// streams keep less; a stream that is to keep everything by now does.
func TestOtherPoliciesLeaveWhatWasLearnt(t *testing.T) {
	w := realFixture(t)
	hour := time.Now().Add(-time.Hour)
	w.fill("car", 4000, times(hour, 4000)...)
	w.limitMemory(0.9)
	tr, log := w.pressed(trim.Policy{MaxLength: 4000})
	w.run(tr)
	less, reduced := tr.reducer.Reduction("car")
	if !reduced || less.Keep >= 4000 {
		t.Fatalf("%+v", less)
	}
	w.rdb.ConfigSet(t.Context(), "maxmemory", "0")
	tr.pace.slice, tr.nodes.Entries = minSlice, 77
	rules, err := trim.ParseRules("bus: max_length=100", tr.o.Policies.Default)
	if err != nil {
		t.Fatal(err)
	}
	tr.SetPolicies(trim.Policies{Default: tr.o.Policies.Default, Rules: rules})
	if got, still := tr.reducer.Reduction("car"); !still || got != less {
		t.Errorf("it keeps %+v, before %+v", got, less)
	}
	if tr.pace.slice != minSlice || tr.nodes.Entries != 77 {
		t.Errorf("a slice of %d bytes and nodes of %d entries", tr.pace.slice, tr.nodes.Entries)
	}
	log.Reset()
	tr.nodes.Entries = 100
	w.run(tr)
	if !strings.Contains(log.String(), "match no stream") || !tr.announced.made {
		t.Errorf("the rules are not looked at anew:\n%s", log.String())
	}
	before := w.length("car")
	rules, err = trim.ParseRules("car: keep=all", tr.o.Policies.Default)
	if err != nil {
		t.Fatal(err)
	}
	tr.SetPolicies(trim.Policies{Default: tr.o.Policies.Default, Rules: rules})
	w.fill("car", 4000, times(hour.Add(time.Minute), 4000)...)
	w.limitMemory(0.9)
	w.run(tr)
	if n := w.length("car"); n != before+4000 {
		t.Errorf("a stream that keeps everything has %d entries, and had %d and 4000 more", n, before)
	}
	if got, still := tr.reducer.Reduction("car"); still {
		t.Errorf("it keeps %+v", got)
	}
}
