package history

import (
	"context"
	"crypto/rand"
	"sync"
	"sync/atomic"
)

// underway notes, ahead of the first removal of a run, that what goes may not be
// recorded yet: what a run that is cut off has removed must not look as if others did
// it. The note is renewed while the run lasts, so that one that is alive is told from
// one that is not.
type underway struct {
	recorder *Recorder
	id       string

	// noted: the run has begun to remove.
	noted atomic.Bool
	mu    sync.Mutex
}

func newUnderway(r *Recorder) *underway { return &underway{recorder: r, id: r.process + rand.Text()} }

// begin notes it. Where that fails the run goes on: it never stops a removal.
func (u *underway) begin(ctx context.Context) {
	if u.noted.Load() {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.noted.Swap(true) {
		u.write(ctx)
	}
}

// write writes the note, and sees to it that it is renewed.
func (u *underway) write(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	o := u.recorder.o
	if err := u.recorder.store.NoteUnderway(ctx, u.id, o.Instance); err != nil {
		o.Log.Debug("cannot note that removals are under way", "error", err)
	}
	o.After(delay, u.renew)
}

func (u *underway) renew() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.noted.Load() {
		u.write(context.Background())
	}
}

// end takes the note back, if all that was removed is recorded. If not, it stays until
// a later run of this process has recorded that.
func (u *underway) end(ctx context.Context, recorded bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.noted.Swap(false) || !recorded {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if err := u.recorder.store.ForgetUnderway(ctx, u.id); err != nil {
		u.recorder.o.Log.Debug("cannot take back that removals are under way", "error", err)
	}
}
