package history

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// trimStore is where the sums of trims lie, and what says how far they went.
type trimStore interface {
	Time(context.Context) (time.Time, error)
	Infos(ctx context.Context, names []string) ([]buffer.StreamInfo, error)
	LastTrims(ctx context.Context, now time.Time, names []string) (map[string]buffer.TrimSum, error)
	SumTrims(ctx context.Context, now time.Time, sums []buffer.TrimmedNow) error
	NewestRemovals(ctx context.Context, most int64) ([]buffer.Removal, error)
	Underway(context.Context) ([]buffer.Removal, error)
}

// Trims sums what is trimmed from streams, by the hour. It may be used by several
// goroutines at once; a nil one records nothing.
type Trims struct {
	recorder *Recorder

	mu sync.Mutex
	// pending is what is not written yet.
	pending map[string]*buffer.TrimSum
	// unknown are streams that may have lost more than is recorded.
	unknown map[string]bool
	// awaited: they will be written by themselves.
	awaited bool
	// chosen are the streams that have a sum in this hour; the first so many.
	chosen map[string]bool

	// writing is held while they are written.
	writing sync.Mutex
	// hour is the one in which the streams of summed have a sum.
	hour   time.Time
	summed map[string]bool

	underway *underway
}

// Trims are those that the recorder keeps; nil where nothing is recorded.
func (r *Recorder) Trims() *Trims {
	if r == nil {
		return nil
	}
	return &Trims{
		recorder: r, pending: make(map[string]*buffer.TrimSum), chosen: make(map[string]bool), summed: make(map[string]bool),
		unknown: make(map[string]bool), underway: newUnderway(r),
	}
}

// Begin is called before each trim.
func (t *Trims) Begin(ctx context.Context) {
	if t != nil {
		t.underway.begin(ctx)
	}
}

// Add sums what was trimmed from a stream, soon. Bytes are an estimate, 0 if not
// known.
func (t *Trims) Add(stream, reason string, entries, bytes int64) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := t.pending[stream]
	if sum == nil {
		if !t.chosen[stream] && len(t.chosen) >= buffer.MaxTrimSums {
			return
		}
		t.chosen[stream] = true
		sum = &buffer.TrimSum{Stream: stream, Instance: t.recorder.o.Instance}
		t.pending[stream] = sum
	}
	sum.Entries += entries
	sum.Bytes += bytes
	if !slices.Contains(sum.Reasons, reason) {
		sum.Reasons = append(sum.Reasons, reason)
	}
	if !t.awaited {
		t.awaited = true
		t.recorder.o.After(delay, t.writeSoon)
	}
}

// Unknown takes in that entries of a stream may have gone: no reply came. The history
// shows a gap.
func (t *Trims) Unknown(stream string, err error) {
	if t == nil {
		return
	}
	t.mu.Lock()
	t.unknown[stream] = true
	t.mu.Unlock()
	t.recorder.mu.Lock()
	defer t.recorder.mu.Unlock()
	t.recorder.unknownTrims.add(1, err)
	t.recorder.o.OnDropped(1)
}

func (t *Trims) writeSoon() {
	t.mu.Lock()
	t.awaited = false
	t.mu.Unlock()
	t.write(context.Background(), false)
}

// Flush writes what is left, and what is missing, at the end of a run.
func (t *Trims) Flush(ctx context.Context) {
	if t == nil {
		return
	}
	t.write(ctx, true)
	t.underway.end(ctx, t.recorder.flush(ctx))
}

// write adds to the sums of the hour; ended says that nothing is being trimmed
// meanwhile.
func (t *Trims) write(ctx context.Context, ended bool) {
	t.writing.Lock()
	defer t.writing.Unlock()
	t.mu.Lock()
	sums := t.pending
	t.pending = make(map[string]*buffer.TrimSum)
	t.mu.Unlock()
	if len(sums) == 0 {
		return
	}
	// A run that was told to end has trimmed all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if err := t.sum(ctx, sums, ended); err != nil {
		t.mu.Lock()
		for name := range sums {
			t.unknown[name] = true
		}
		t.mu.Unlock()
		t.recorder.mu.Lock()
		defer t.recorder.mu.Unlock()
		t.recorder.lose(&t.recorder.lostTrims, "trims", int64(len(sums)), err)
	}
}

// begin begins an hour, in which other streams may have a sum.
func (t *Trims) begin(hour time.Time) {
	t.hour, t.summed = hour, make(map[string]bool)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.chosen = make(map[string]bool)
	for name := range t.pending {
		t.chosen[name] = true
	}
}

// sum writes the sums with the oldest entries kept before and after.
func (t *Trims) sum(ctx context.Context, sums map[string]*buffer.TrimSum, ended bool) error {
	store := t.recorder.store
	now, err := store.Time(ctx)
	if err != nil {
		return err
	}
	if hour := now.UTC().Truncate(time.Hour); hour != t.hour {
		t.begin(hour)
	}
	names := slices.Sorted(maps.Keys(sums))
	first := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return t.summed[name] })
	last, err := store.LastTrims(ctx, now, first)
	if err != nil {
		return err
	}
	gap, err := t.lastGap(ctx, len(last) > 0)
	if err != nil {
		return err
	}
	infos, err := store.Infos(ctx, names)
	if err != nil {
		return err
	}
	added := make([]buffer.TrimmedNow, len(names))
	for i, name := range names {
		sum := buffer.TrimmedNow{TrimSum: *sums[name], GoneBefore: -1}
		if before, found := last[name]; found {
			sum.Before, sum.GoneBefore = before.After, before.Gone
			t.doubt(name, !gap.IsZero() && !gap.Before(before.Last))
		}
		if t.doubt(name, false) {
			sum.GoneBefore = buffer.NotRecorded
		}
		sum.After, sum.Gone = infos[i].First, -1
		if ended && infos[i].Exists() && infos[i].Added >= 0 {
			sum.Gone = infos[i].Gone()
		}
		added[i] = sum
	}
	if err := store.SumTrims(ctx, now, added); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, name := range names {
		t.summed[name] = true
		if added[i].Gone >= 0 { // what goes from now on is recorded
			delete(t.unknown, name)
		}
	}
	return nil
}

// doubt reports whether a stream may have lost more than is recorded, as was known before
// or is now.
func (t *Trims) doubt(stream string, now bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now {
		t.unknown[stream] = true
	}
	return t.unknown[stream]
}

// newest is how many removals are looked at for a gap.
const newest = 500

// lastGap is until when something may have gone that no sum has, as far as the newest
// removals tell, and the runs of other processes; zero if that is not wanted.
func (t *Trims) lastGap(ctx context.Context, wanted bool) (last time.Time, err error) {
	if !wanted {
		return last, nil
	}
	gaps, err := t.recorder.store.NewestRemovals(ctx, newest)
	if err != nil {
		return last, err
	}
	runs, err := t.recorder.store.Underway(ctx)
	for _, r := range append(gaps, runs...) {
		ours := strings.HasPrefix(r.Run, t.recorder.process)
		if r.Action == buffer.Gap && !ours && r.Until().After(last) {
			last = r.Until()
		}
	}
	return last, err
}
