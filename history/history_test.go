package history

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// fakeStore fails while err is set, and gaps while gapErr is.
type fakeStore struct {
	err, gapErr error
	log         []string
	now         time.Time
	gaps, runs  []buffer.Removal
	// asked and summed count names of streams.
	asked, summed int
}

func (f *fakeStore) Record(_ context.Context, removals []buffer.Removal, keep int64) error {
	if f.err == nil {
		f.log = append(f.log, fmt.Sprintf("%d of %d, first %s", len(removals), keep, removals[0].Name))
	}
	return f.err
}

func (f *fakeStore) RecordGap(_ context.Context, removals int64, reason, instance string) error {
	if f.gapErr == nil {
		f.log = append(f.log, fmt.Sprintf("gap of %d: %s, by %s", removals, reason, instance))
	}
	return f.gapErr
}

func (f *fakeStore) NoteUnderway(_ context.Context, _, instance string) error {
	f.log = append(f.log, "under way: "+instance)
	return f.err
}

func (f *fakeStore) ForgetUnderway(context.Context, string) error {
	f.log = append(f.log, "ended")
	return f.err
}

func (f *fakeStore) NewestRemovals(context.Context, int64) ([]buffer.Removal, error) {
	return f.gaps, nil
}

func (f *fakeStore) Underway(context.Context) ([]buffer.Removal, error) { return f.runs, nil }

func (f *fakeStore) Time(context.Context) (time.Time, error) { return f.now, f.err }

func (f *fakeStore) Infos(_ context.Context, names []string) ([]buffer.StreamInfo, error) {
	infos := make([]buffer.StreamInfo, len(names))
	for i := range infos {
		infos[i] = buffer.StreamInfo{Type: "stream", First: buffer.ID{Ms: 9}, Length: 5, Added: 25}
	}
	return infos, nil
}

func (f *fakeStore) LastTrims(_ context.Context, _ time.Time, names []string) (map[string]buffer.TrimSum, error) {
	last := make(map[string]buffer.TrimSum)
	for _, name := range names {
		f.asked++
		last[name] = buffer.TrimSum{After: buffer.ID{Ms: 3}, Gone: 11}
	}
	return last, nil
}

func (f *fakeStore) SumTrims(_ context.Context, _ time.Time, sums []buffer.TrimmedNow) error {
	if f.err == nil {
		for _, s := range sums[:min(2, len(sums))] {
			f.log = append(f.log, fmt.Sprintf("%s: %d, %d bytes, %v, %s to %s, gone %d to %d, by %s", s.Stream, s.Entries, s.Bytes, s.Reasons,
				s.Before, s.After, s.GoneBefore, s.Gone, s.Instance))
		}
		f.summed += len(sums)
	}
	return f.err
}

// take returns what was written since.
func (f *fakeStore) take() string {
	log := fmt.Sprint(f.log)
	f.log = nil
	return log
}

// newFake is a recorder whose delays end when the returned function is called.
func newFake(store Store, dropped *int64) (r *Recorder, later func()) {
	var waiting []func()
	r = New(store, Options{
		Length: 9, Instance: "me", OnDropped: func(n int64) { *dropped += n },
		After: func(_ time.Duration, f func()) { waiting = append(waiting, f) },
	})
	return r, func() {
		all := waiting
		waiting = nil
		for _, f := range all {
			f()
		}
	}
}

func TestRemovalsAreWrittenInBatchesAndSoon(t *testing.T) {
	t.Parallel()
	store, dropped := new(fakeStore), int64(0)
	r, later := newFake(store, &dropped)
	for i := range batch + 2 {
		r.Add("expire", fmt.Sprint(i), "old")
	}
	if got, want := store.take(), fmt.Sprintf("[%d of 9, first 0]", batch); got != want {
		t.Errorf("a full batch: %s", got)
	}
	later()
	if got, want := store.take(), fmt.Sprintf("[2 of 9, first %d]", batch); got != want {
		t.Errorf("the rest: %s", got)
	}
	later()
	r.Flush(t.Context())
	if got := store.take(); got != "[]" || dropped != 0 {
		t.Errorf("nothing: %s, %d dropped", got, dropped)
	}
	r.Add("expire", "x", "old")
	later()
	if got := store.take(); got != "[1 of 9, first x]" {
		t.Errorf("one more: %s", got)
	}
}

func TestWhatCannotBeRecordedIsCountedAndShowsAGap(t *testing.T) {
	t.Parallel()
	broken := errors.New("OOM command not allowed")
	store, dropped := &fakeStore{err: broken, gapErr: broken}, int64(0)
	r, later := newFake(store, &dropped)
	for range batch + 1 {
		r.Add("expire", "x", "old")
	}
	later()
	if dropped != batch+1 || store.take() != "[]" {
		t.Errorf("%d dropped", dropped)
	}
	store.err, store.gapErr = nil, nil
	r.Add("retire", "y", "old")
	r.Flush(t.Context())
	want := fmt.Sprintf("[1 of 9, first y gap of %d: could not be recorded (other), by me]", batch+1)
	if got := store.take(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	r.Flush(t.Context())
	if got := store.take(); got != "[]" || dropped != batch+1 {
		t.Errorf("again: %s, %d dropped", got, dropped)
	}
}

func TestNothingIsRecordedWhereNothingIsToBeKept(t *testing.T) {
	t.Parallel()
	r := New(new(fakeStore), Options{})
	r.Add("expire", "x", "old")
	trims := r.Trims()
	trims.Add("s", "length", 1, 1)
	trims.Flush(t.Context())
	r.Flush(t.Context())
	if r != nil || trims != nil {
		t.Error("a recorder")
	}
}

func TestTrimsAreSummedWhileARunLastsAndAtItsEnd(t *testing.T) {
	t.Parallel()
	store, dropped := &fakeStore{now: time.Unix(7200, 0)}, int64(0)
	r, later := newFake(store, &dropped)
	trims := r.Trims()
	trims.Add("s", "length", 2, 20)
	trims.Add("s", "age", 3, 0)
	if got := store.take(); got != "[]" {
		t.Errorf("at once: %s", got)
	}
	later()
	if got, want := store.take(), "[s: 5, 20 bytes, [length age], 3-0 to 9-0, gone 11 to -1, by me]"; got != want {
		t.Errorf("soon:\ngot  %s\nwant %s", got, want)
	}
	trims.Add("s", "age", 1, 10)
	trims.Flush(t.Context())
	// Of the hour the store knows itself what was before.
	if got, want := store.take(), "[s: 1, 10 bytes, [age], 0-0 to 9-0, gone -1 to 20, by me]"; got != want || store.asked != 1 {
		t.Errorf("at the end:\ngot  %s\nwant %s", got, want)
	}
	later()
	trims.Flush(t.Context())
	if got := store.take(); got != "[]" || dropped > 0 {
		t.Errorf("nothing: %s, %d dropped", got, dropped)
	}
}

func TestTrimsThatCannotBeRecordedAreCountedAndShowAGap(t *testing.T) {
	t.Parallel()
	broken := errors.New("OOM command not allowed")
	store, dropped := &fakeStore{err: broken}, int64(0)
	r, later := newFake(store, &dropped)
	trims := r.Trims()
	trims.Add("s", "length", 200, 0)
	later()
	trims.Add("s", "length", 200, 0)
	trims.Add("t", "length", 200, 0)
	trims.Flush(t.Context())
	if got, want := store.take(), "[gap of 3: trims of streams could not be recorded (other), by me]"; got != want || dropped != 3 {
		t.Errorf("%d dropped\ngot  %s\nwant %s", dropped, got, want)
	}
	store.err = nil
	trims.Add("s", "length", 200, 0)
	trims.Flush(t.Context())
	if got := store.take(); !strings.HasPrefix(got, "[s: 200, ") || strings.Contains(got, "gap") {
		t.Errorf("again: %s", got)
	}
}

func TestSoManyStreamsHaveASumInAnHour(t *testing.T) {
	t.Parallel()
	store, dropped := &fakeStore{now: time.Unix(7200, 0)}, int64(0)
	r, later := newFake(store, &dropped)
	trims := r.Trims()
	for range 3 {
		for i := range buffer.MaxTrimSums + 50 {
			trims.Add(fmt.Sprint(i), "length", 1, 0)
		}
		later()
	}
	if store.summed != 3*buffer.MaxTrimSums || store.asked != buffer.MaxTrimSums {
		t.Errorf("%d sums were written, %d streams asked for", store.summed, store.asked)
	}
	store.now = time.Unix(3*3600, 0)
	trims.Add("0", "length", 1, 0)
	later()
	trims.Add("another", "length", 1, 0)
	later()
	if store.summed != 3*buffer.MaxTrimSums+2 {
		t.Errorf("in the next hour %d sums were written", store.summed-3*buffer.MaxTrimSums)
	}
}

func TestARunIsNotedBeforeItRemovesAndUntilAllIsRecorded(t *testing.T) {
	t.Parallel()
	store, dropped := new(fakeStore), int64(0)
	r, later := newFake(store, &dropped)
	ctx := t.Context()
	r.Flush(ctx)
	if got := store.take(); got != "[]" {
		t.Errorf("nothing is removed: %s", got)
	}
	r.Begin(ctx)
	r.Begin(ctx)
	if got := store.take(); got != "[under way: me]" {
		t.Errorf("before the first: %s", got)
	}
	later()
	later()
	if got := store.take(); got != "[under way: me under way: me]" {
		t.Errorf("while it lasts: %s", got)
	}
	r.Add("expire", "x", "old")
	r.Flush(ctx)
	if got := store.take(); got != "[1 of 9, first x ended]" {
		t.Errorf("at the end: %s", got)
	}
	later()
	if got := store.take(); got != "[]" {
		t.Errorf("afterwards: %s", got)
	}
	// What is not recorded, nor shown as a gap, is under way still.
	sums := r.Trims()
	sums.Begin(ctx)
	sums.Unknown("s", errors.New("EOF"))
	store.gapErr = errors.New("EOF")
	sums.Flush(ctx)
	if got := store.take(); got != "[under way: me]" || dropped != 1 {
		t.Errorf("without the gap: %s, %d dropped", got, dropped)
	}
	store.gapErr = nil
	sums.Begin(ctx)
	sums.Flush(ctx)
	if got := store.take(); got != "[under way: me gap of 1: trims of streams may have been carried out (other), by me ended]" {
		t.Errorf("the next run: %s", got)
	}
	// Who records nothing notes nothing.
	var none *Recorder
	none.Begin(ctx)
	none.Trims().Begin(ctx)
	none.Unknown(1, store.gapErr)
	none.Trims().Unknown("s", store.gapErr)
}

func TestWhatMayHaveGoneWithoutASumIsNobodyElses(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, c := range map[string]struct {
		gaps, runs []buffer.Removal
		unknown    bool
		want       int64
	}{
		"nothing":            {nil, nil, false, 11},
		"no reply":           {nil, nil, true, buffer.NotRecorded},
		"a gap":              {[]buffer.Removal{{Action: buffer.Gap, Time: at}}, nil, false, buffer.NotRecorded},
		"a removal":          {[]buffer.Removal{{Action: "retire", Time: at}}, nil, false, 11},
		"a run was cut off":  {nil, []buffer.Removal{{Action: buffer.Gap, Time: at, Run: "x"}}, false, buffer.NotRecorded},
		"a run of ours goes": {nil, []buffer.Removal{{Action: buffer.Gap, Time: at, Run: "ours"}}, false, 11},
	} {
		dropped := int64(0)
		store := &fakeStore{now: at, gaps: c.gaps, runs: c.runs}
		r, _ := newFake(store, &dropped)
		r.process = "ours"
		sums := r.Trims()
		if c.unknown {
			sums.Unknown("s", errors.New("EOF"))
		}
		sums.Add("s", "age", 5, 50)
		sums.Flush(t.Context())
		sums.Add("s", "age", 5, 50)
		sums.Flush(t.Context())
		want := []string{fmt.Sprintf("gone %d to 20", c.want), "gone -1 to 20"}
		var got []string
		for _, line := range store.log {
			if _, gone, found := strings.Cut(line, "9-0, "); found {
				got = append(got, strings.TrimSuffix(gone, ", by me"))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, not %q", name, got, want)
		}
	}
}
