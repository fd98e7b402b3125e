package history

import (
	"context"
	"hash/maphash"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
)

// UndoStore is where expired sessions lie as copies.
type UndoStore interface {
	Owns(stream string) bool
	Anywhere(identity string) []registry.Session
	SessionsExist(context.Context, []registry.Session) (bool, error)
	// CopiesOf and WalkCopies visit the newest copy of a session first.
	CopiesOf(ctx context.Context, identities []string, visit func(registry.Copy) error) error
	WalkCopies(ctx context.Context, visit func(registry.Copy) error) error
	Undo(ctx context.Context, copies []registry.Copy, how registry.Undoing) ([]registry.Undone, []error, error)
}

// Undo puts expired sessions back.
type Undo struct {
	// Sessions are their identities; without any all that expired since Since.
	Sessions []string
	Since    time.Time
	// Notes is for how long it is noted that a session was put back.
	Notes time.Duration
	// DryRun looks, and changes nothing.
	DryRun bool
	// On is told what became of each session.
	On func(Return)
}

// Return is what became of a session that was to be put back.
type Return struct {
	registry.Copy
	// Undone is what became of it, unless Others or Err says more.
	registry.Undone
	// Others: the stream that it names is not ours.
	Others bool
	Err    error
}

// undoBatch is how many sessions are put back together.
const undoBatch = 200

// undoing is one undo.
type undoing struct {
	Undo
	store UndoStore
	seed  maphash.Seed
	// seen are those whose newest copy was met, back those that were put back.
	seen, back map[uint64]struct{}
	batch      []registry.Copy
}

// Run puts sessions back, each from its newest copy. The error says that not all
// were tried.
func (u Undo) Run(ctx context.Context, store UndoStore) error {
	r := undoing{Undo: u, store: store, seed: maphash.MakeSeed(), seen: make(map[uint64]struct{}), back: make(map[uint64]struct{})}
	take := func(c registry.Copy) error { return r.take(ctx, c) }
	var err error
	if len(u.Sessions) > 0 {
		err = store.CopiesOf(ctx, u.Sessions, take)
	} else {
		err = store.WalkCopies(ctx, take)
	}
	if err != nil {
		return err
	}
	return r.flush(ctx)
}

// take judges a copy, and puts the session back with the next batch.
func (r *undoing) take(ctx context.Context, c registry.Copy) error {
	hash := r.hash(c.Identity, c.Layout)
	if _, known := r.seen[hash]; known {
		return nil
	}
	r.seen[hash] = struct{}{}
	switch {
	case c.Expired.Before(r.Since):
		return nil
	case c.HasStream && !r.store.Owns(c.Stream):
		r.On(Return{Copy: c, Others: true})
		return nil
	}
	if r.batch = append(r.batch, c); len(r.batch) < undoBatch {
		return nil
	}
	return r.flush(ctx)
}

func (r *undoing) hash(identity string, l registry.Layout) uint64 {
	return maphash.String(r.seed, string(l)+" "+identity)
}

// isBack reports whether this undo has put an identity back in a layout.
func (r *undoing) isBack(identity string, l registry.Layout) bool {
	_, back := r.back[r.hash(identity, l)]
	return back
}

func (r *undoing) flush(ctx context.Context) error {
	batch := r.batch
	r.batch = nil
	if r.DryRun {
		return r.look(ctx, batch)
	}
	ended, failed, err := r.store.Undo(ctx, batch, registry.Undoing{Notes: r.Notes, Back: r.isBack})
	for i, c := range batch {
		if ended[i] == registry.IsBack {
			r.back[r.hash(c.Identity, c.Layout)] = struct{}{}
		}
		// Of what was not tried the store says that there is no copy; it is.
		if err == nil || failed[i] != nil || ended[i] != registry.NoCopy {
			r.On(Return{Copy: c, Undone: ended[i], Err: failed[i]})
		}
	}
	return err
}

// look says what would become of copies.
func (r *undoing) look(ctx context.Context, batch []registry.Copy) error {
	for _, c := range batch {
		there, err := r.store.SessionsExist(ctx, r.store.Anywhere(c.Identity))
		if err != nil {
			return err
		}
		end := registry.IsBack
		if there {
			end = registry.Exists
		}
		r.On(Return{Copy: c, Undone: end})
	}
	return nil
}
