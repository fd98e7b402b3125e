package cleanup

import (
	"context"
	"fmt"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// Undo says for how long expired sessions can be put back.
type Undo struct {
	// For is how long copies of them are kept; 0 keeps none.
	For time.Duration
	// MaxBytes is what the copies may take.
	MaxBytes int64
}

// Defaults of [Undo].
const (
	// DefaultUndoFor is until the next morning.
	DefaultUndoFor = 24 * time.Hour
	// DefaultUndoMaxBytes is about 100 000 sessions.
	DefaultUndoMaxBytes = 64 << 20
)

// Wants reports whether copies are to be kept.
func (u Undo) Wants() bool { return u.For > 0 && u.MaxBytes > 0 }

// copyStore is what is needed of the stream buffer to keep copies of sessions that
// expire.
type copyStore interface {
	PutBack(context.Context, []registry.Session) ([]time.Time, error)
	// BoundCopies lets copies go that are too old or beyond a bound, and says what the
	// others take.
	BoundCopies(ctx context.Context, keep time.Duration, most int64, keys bool) (registry.CopyBytes, error)
	Memory(context.Context) (used, limit int64, err error)
}

// fullAt is the share of maxmemory above which no copies are kept.
const fullAt = 0.9

// MayCopy reports whether Redis has memory for copies, given what it uses and may
// use; a limit of 0 is none.
func MayCopy(used, limit int64) bool { return limit <= 0 || float64(used) <= fullAt*float64(limit) }

// copies bounds the copies that a run keeps.
type copies struct {
	// room is how many bytes more they may take before they are bounded again.
	room int64
	// full: Redis has no memory for them. look is how many sessions more may expire
	// before that is asked again.
	full bool
	look int
	// hash is what those of the shared Hash may take.
	hash int64
	// lost counts sessions that went without one.
	lost int64
}

// lookEvery is how many sessions expire between two looks at Redis's memory.
const lookEvery = 2000

// prepareCopies bounds what copies there are before a run acts. Whoever turns them
// off wants none.
func (r *run) prepareCopies(ctx context.Context) error {
	if r.dry() {
		return nil
	}
	if !r.o().Undo.Wants() {
		err := r.dropCopies(ctx)
		if err != nil && !redisconn.IsLost(err) {
			r.record.log.Warn("copies of sessions not removed", "error", err)
			return nil
		}
		return err
	}
	if err := r.lookAtMemory(ctx); err != nil || r.copies.full {
		return err
	}
	// Copies at keys of their own go by themselves. Nothing but new ones takes more.
	return r.boundCopies(ctx, r.found.sessions.stale > 0)
}

// lookAtMemory asks whether Redis has memory for copies; those there are go if not.
// Where that cannot be known they are bounded all the same.
func (r *run) lookAtMemory(ctx context.Context) error {
	used, limit, err := r.store.Memory(ctx)
	if redisconn.IsLost(err) {
		return err
	}
	r.copies.look, r.copies.full = lookEvery, err == nil && !MayCopy(used, limit)
	if !r.copies.full {
		return nil
	}
	return r.dropCopies(ctx)
}

// dropCopies lets all copies go.
func (r *run) dropCopies(ctx context.Context) error {
	_, err := r.store.BoundCopies(ctx, r.o().Undo.For, 0, r.c.copiesAtKeys)
	if err == nil {
		r.c.copiesAtKeys = false
	}
	return err
}

// boundCopies lets the oldest copies go, and leaves some room.
func (r *run) boundCopies(ctx context.Context, keys bool) error {
	u := r.o().Undo
	most := u.MaxBytes - u.MaxBytes/8
	keys = keys && r.c.copiesAtKeys
	left, err := r.store.BoundCopies(ctx, u.For, most, keys)
	if keys && err == nil {
		r.c.copiesAtKeys = left.Keys > 0
	}
	r.copies.room = u.MaxBytes - min(left.Hash, u.MaxBytes/2) - left.Keys
	r.copies.hash = u.MaxBytes - min(left.Keys, u.MaxBytes/2)
	return err
}

// howToExpire says how the next sessions expire.
func (r *run) howToExpire() registry.Expiring {
	how := registry.Expiring{After: r.o().Limits.ExpireAfter}
	if u := r.o().Undo; u.Wants() && !r.copies.full {
		how.Keep, how.Bytes = u.For, r.copies.hash
		if r.dry() {
			how.Bytes = u.MaxBytes
		}
	}
	return how
}

// copied takes notice of what became of sessions, and bounds their copies.
func (r *run) copied(ctx context.Context, ended []registry.Expiry) error {
	if !r.o().Undo.Wants() || r.dry() {
		return nil
	}
	for _, e := range ended {
		r.copies.room -= e.Bytes
		r.c.copiesAtKeys = r.c.copiesAtKeys || e.Bytes > 0
		if e.Removed && !e.Copied {
			r.copies.lost++
		}
	}
	if r.copies.look -= len(ended); r.copies.look <= 0 {
		if err := r.lookAtMemory(ctx); err != nil {
			return err
		}
	}
	if r.copies.full || r.copies.room >= 0 && r.copies.hash > 0 {
		return nil
	}
	return r.boundCopies(ctx, true)
}

// withoutCopy says why a session that expired cannot be put back.
func (r *run) withoutCopy(reason string) string {
	if r.copies.full {
		return reason + fmt.Sprintf(", no copy kept as Redis is above %.0f %% of maxmemory", fullAt*100)
	}
	return reason + ", no copy could be kept"
}

// logUncopied says once a run that sessions went without a copy.
func (r *run) logUncopied() {
	if r.copies.lost > 0 {
		r.record.log.Warn("sessions expired without a copy", "count", r.copies.lost, "reason", r.withoutCopy("expired"))
	}
}
