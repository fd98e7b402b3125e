// Package history records what was removed, and sums what was trimmed: in batches,
// at most a second late, and without getting in the way of a removal. What could
// not be recorded is counted, and the history shows a gap.
package history

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// Store is where the history lies.
type Store interface {
	Record(ctx context.Context, removals []buffer.Removal, keep int64) error
	RecordGap(ctx context.Context, removals int64, reason, instance string) error
	NoteUnderway(ctx context.Context, id, instance string) error
	ForgetUnderway(ctx context.Context, id string) error
	trimStore
}

// Options of a [Recorder].
type Options struct {
	// Length is how many removals are kept; 0 records nothing.
	Length int64
	// Instance is who removes.
	Instance string
	// OnDropped is told how many removals could not be recorded; nil for nobody.
	OnDropped func(removals int64)
	Log       *slog.Logger
	// After calls a function later; nil means [time.AfterFunc].
	After func(time.Duration, func())
}

// A batch is written when it is full, and at the latest after so long.
const (
	batch = 200
	delay = 500 * time.Millisecond
	// patience is how long a batch may take before it is given up.
	patience = 10 * time.Second
)

// Recorder writes the history. It may be used by several goroutines at once; a
// nil one records nothing.
type Recorder struct {
	store Store
	o     Options

	mu      sync.Mutex
	pending []buffer.Removal
	// awaited: a batch will be written by itself.
	awaited bool
	// lost are the removals, and lostTrims the trims of streams, that could not be
	// recorded and show no gap yet; of unknown and unknownTrims nobody knows whether
	// they were carried out.
	lost, lostTrims, unknown, unknownTrims lost

	// process begins the ids of the runs of this process.
	process  string
	underway *underway
}

// lost is how many of something could not be recorded, and the class of the last
// error.
type lost struct {
	n   int64
	why redisconn.Class
}

func (l *lost) add(n int64, err error) { l.n, l.why = l.n+n, redisconn.ClassOf(err) }

// OfTrims begins the reason of a gap in the sums of trims; all removals are recorded.
const OfTrims = "trims of streams "

// New makes a recorder; nil where nothing is to be recorded.
func New(store Store, o Options) *Recorder {
	if o.Length <= 0 {
		return nil
	}
	if o.OnDropped == nil {
		o.OnDropped = func(int64) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.After == nil {
		o.After = func(d time.Duration, f func()) { time.AfterFunc(d, f) }
	}
	r := &Recorder{store: store, o: o, process: rand.Text()}
	r.underway = newUnderway(r)
	return r
}

// Begin is called before each removal.
func (r *Recorder) Begin(ctx context.Context) {
	if r != nil {
		r.underway.begin(ctx)
	}
}

// Add records a removal, soon.
func (r *Recorder) Add(action, name, reason string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending = append(r.pending, buffer.Removal{Action: action, Name: name, Reason: reason, Instance: r.o.Instance})
	switch {
	case len(r.pending) >= batch:
		r.write(context.Background())
	case !r.awaited:
		r.awaited = true
		r.o.After(delay, r.writeSoon)
	}
}

// Unknown takes in removals that may have been carried out: no reply came. The history
// shows a gap.
func (r *Recorder) Unknown(removals int64, err error) {
	if r == nil || removals <= 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unknown.add(removals, err)
	r.o.OnDropped(removals)
}

func (r *Recorder) writeSoon() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.awaited = false
	r.write(context.Background())
}

// Flush writes what is left, and what is missing, at the end of a run.
func (r *Recorder) Flush(ctx context.Context) {
	if r != nil {
		r.underway.end(ctx, r.flush(ctx))
	}
}

// flush reports whether nothing is left to write.
func (r *Recorder) flush(ctx context.Context) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	// A run that was told to end has removed something all the same.
	ctx = context.WithoutCancel(ctx)
	r.write(ctx)
	r.writeGap(ctx)
	return r.lost.n+r.lostTrims.n+r.unknown.n+r.unknownTrims.n == 0
}

// write is not tried again: who knows what a broken connection has taken, and
// nothing is to stand there twice.
func (r *Recorder) write(ctx context.Context) {
	if len(r.pending) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := r.store.Record(ctx, r.pending, r.o.Length); err != nil {
		r.lose(&r.lost, "removals", int64(len(r.pending)), err)
	}
	clear(r.pending)
	r.pending = r.pending[:0]
}

// lose takes in what could not be recorded. The log says the first of them, until
// the history shows the gap.
func (r *Recorder) lose(l *lost, what string, n int64, err error) {
	if l.n == 0 {
		r.o.Log.Warn("history not recorded", "what", what, "class", string(redisconn.ClassOf(err)), "error", err)
	}
	l.add(n, err)
	r.o.OnDropped(n)
}

// writeGap shows what is missing, if there is something.
func (r *Recorder) writeGap(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, of := range []struct {
		*lost
		what string
	}{
		{&r.lost, "could not be recorded"}, {&r.lostTrims, OfTrims + "could not be recorded"},
		{&r.unknown, "may have been carried out"}, {&r.unknownTrims, OfTrims + "may have been carried out"},
	} {
		if of.n > 0 && r.store.RecordGap(ctx, of.n, of.what+" ("+string(of.why)+")", r.o.Instance) == nil {
			of.n = 0
		}
	}
}
