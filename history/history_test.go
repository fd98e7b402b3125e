package history

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// fakeStore fails while err is set, and gaps while gapErr is.
type fakeStore struct {
	err, gapErr error
	log         []string
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
	r.Flush(t.Context())
	if r != nil {
		t.Error("a recorder")
	}
}
