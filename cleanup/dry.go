package cleanup

import (
	"context"
	"hash/maphash"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
)

// dryStore is a store that lets reads through and records writes: what a run
// has removed is gone for the rest of that run.
type dryStore struct {
	Store
	seed maphash.Seed
	gone map[uint64]struct{}
}

// maxGone is how many removed sessions are recorded. Of those beyond, one that
// a scan names twice is listed twice.
const maxGone = 1 << 20

func newDryStore(s Store) *dryStore {
	return &dryStore{Store: s, seed: maphash.MakeSeed(), gone: make(map[uint64]struct{})}
}

func (d *dryStore) hash(s registry.Session) uint64 {
	return maphash.String(d.seed, string(s.Layout)+s.Identity)
}

func (d *dryStore) Expire(_ context.Context, sessions []registry.Session, how registry.Expiring) ([]registry.Expiry, error) {
	ended := make([]registry.Expiry, len(sessions))
	for i, s := range sessions {
		hash := d.hash(s)
		_, gone := d.gone[hash]
		ended[i] = registry.Expiry{Removed: !gone, Copied: !gone && how.Keep > 0}
		if len(d.gone) < maxGone {
			d.gone[hash] = struct{}{}
		}
	}
	return ended, nil
}

func (*dryStore) BoundCopies(context.Context, time.Duration, int64, bool) (registry.CopyBytes, error) {
	return registry.CopyBytes{}, nil
}

func (d *dryStore) SessionsExist(ctx context.Context, sessions []registry.Session) (bool, error) {
	var left []registry.Session
	for _, s := range sessions {
		if _, gone := d.gone[d.hash(s)]; !gone {
			left = append(left, s)
		}
	}
	return d.Store.SessionsExist(ctx, left)
}

func (*dryStore) HoldsJSON(context.Context, registry.Session, string) (bool, error) { return true, nil }

func (*dryStore) SetJSON(context.Context, registry.Session, string, string) (bool, error) {
	return true, nil
}

func (*dryStore) AppendIfSilent(context.Context, registry.Session, []byte, buffer.Silence) (buffer.Appending, error) {
	return buffer.Appended, nil
}

func (*dryStore) Retire(context.Context, string, buffer.ID, buffer.GroupLimits) (buffer.Retirement, error) {
	return buffer.Retired, nil
}

func (*dryStore) DropName(context.Context, string) (buffer.Retirement, error) {
	return buffer.Retired, nil
}

func (*dryStore) Forget(context.Context, buffer.Return) error { return nil }

func (*dryStore) Restore(context.Context, string) error { return nil }

func (*dryStore) NoteRelisted(context.Context, string) error { return nil }

func (*dryStore) Sight(context.Context, []string, time.Time) (bool, error) { return true, nil }

func (*dryStore) Unsight(context.Context, []string) error { return nil }

func (*dryStore) NoteGroups(context.Context, []buffer.StreamGroup, time.Time) error { return nil }

func (*dryStore) ForgetGroups(context.Context, []buffer.StreamGroup) error { return nil }

func (*dryStore) SetLeft(context.Context, buffer.StateFields) error { return nil }

func (*dryStore) SetHeld(context.Context, buffer.StateFields) (bool, error) { return true, nil }
