package doctor

import (
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
)

// sums records at a time that we trimmed car-1, of which so many entries had gone
// then, as far as that was known.
func (f *fixture) sums(at time.Time, entries, gone int64) {
	f.t.Helper()
	o := f.buffer
	o.ReadOnly = false
	b := must(buffer.Open(f.ctx(), o))
	defer func() { _ = b.Close() }()
	sum := buffer.TrimmedNow{TrimSum: buffer.TrimSum{Stream: "car-1", Entries: entries, Gone: gone, Instance: "once"}, GoneBefore: -1}
	if err := b.SumTrims(f.ctx(), at, []buffer.TrimmedNow{sum}); err != nil {
		f.t.Fatal(err)
	}
}

// TestWhatWeTrimmedOurselvesIsNotAnothersWork: of 21 entries of car-1, eleven go.
func TestWhatWeTrimmedOurselvesIsNotAnothersWork(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(f *fixture)
		says string
		// accused: it is a warning.
		accused bool
	}{
		"all by us": {do: func(f *fixture) {
			f.sums(f.now.Add(-10*time.Minute), 11, 11)
		}, says: "no other trimmer is seen"},
		"some by us, some since": {do: func(f *fixture) {
			f.sums(f.now.Add(-10*time.Minute), 8, 8)
		}, says: "[car-1: 10 of 10 000, and 11 have gone, 3 of them without streamkeeper]", accused: true},
		"some before the record, the last by us": {do: func(f *fixture) {
			f.sums(f.now.Add(-10*time.Minute), 4, 11)
		}, says: "no other trimmer is seen"},
		"how many had gone is not known": {do: func(f *fixture) {
			f.sums(f.now.Add(-10*time.Minute), 4, -1)
		}, says: "not known of 1 stream, shorter than the policy keeps: their entries may have gone before the record of trims begins"},
		"a run is about to say so": {do: func(f *fixture) {
			f.sums(f.now.Add(-time.Second), 4, 4)
		}, says: "no other trimmer is seen"},
		"nothing is recorded": {do: func(f *fixture) {
			f.doctor.HistoryLength = 0
		}, says: "not known of 1 stream, shorter than the policy keeps: trims are not recorded (HISTORY_LENGTH=0)"},
		"a trim could not be recorded": {do: func(f *fixture) {
			f.do("XADD", "streamkeeper:history", "*", "a", buffer.Gap, "n", "1", "r", "oom", "i", "pod-1")
		}, says: "not known of 1 stream"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, registry.Keys).proper()
			f.do("XTRIM", "stream:car-1", "MAXLEN", "10")
			c.do(f)
			got := f.findings()["other-trimmers"]
			if !strings.Contains(text(got), c.says) || (got.Severity != OK) != c.accused {
				t.Errorf("it says %s", text(got))
			}
		})
	}
}

func TestWhoTrimmedLongAgoIsNotKnown(t *testing.T) {
	t.Parallel()
	f := newFixture(t, registry.Keys).proper()
	f.list("old")
	for day := range 5 {
		f.append("old", f.now.Add(time.Duration(day-7)*24*time.Hour), "id", 1)
	}
	f.do("XTRIM", "stream:old", "MAXLEN", "4")
	if got := f.findings()["other-trimmers"]; got.Severity != OK || !strings.Contains(got.Text, "not known of 1 stream") {
		t.Errorf("it says %s", text(got))
	}
	f.append("old", f.now, "id", 1)
	f.do("XTRIM", "stream:old", "MAXLEN", "1")
	if got := f.findings()["other-trimmers"]; got.Severity != Warning || !strings.Contains(text(got), "[old: 1 of 10 000, and 5 have gone]") {
		t.Errorf("it says %s", text(got))
	}
}
