package cleanup

import (
	"context"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// keepNoted is how long a stream that has come back stays noted as retired: a
// connection that broke may deliver an SREM so late.
const keepNoted = time.Hour

// relistEvery is how often a name that sessions name is listed again at most: a
// producer may take it out on purpose.
const relistEvery = 24 * time.Hour

// restoreStore is what is needed of the stream buffer to list names again that
// nobody retired.
type restoreStore interface {
	// Restorable says of each name what its key holds.
	Restorable(ctx context.Context, names []string) ([]buffer.Unlisted, error)
	// Relisted says when each name was last listed again.
	Relisted(ctx context.Context, names []string) ([]time.Time, error)
	NoteRelisted(ctx context.Context, name string) error
}

// JudgeUnlisted says whether the name of a stream that a live session names is
// to be listed again, and why. isEmpty: the set has no name at all; lost: it had some,
// which nobody takes out one by one, so that it is no matter when each was listed again.
func JudgeUnlisted(u buffer.Unlisted, relisted time.Time, isEmpty, lost bool, now time.Time) (restore bool, reason string) {
	switch {
	case u.Type != "stream", !lost && !relisted.IsZero() && now.Sub(relisted) < relistEvery:
		return false, ""
	case isEmpty:
		return true, "a session names it, and the set of names is empty"
	case u.Message:
		return true, "a session names it, it has messages, and it is not listed"
	}
	return false, ""
}

// restore lists streams again that are ours: those that were retired and have a
// key again, and those that live sessions name. Streams that are back for good
// need not be noted any longer.
func (r *run) restore(ctx context.Context) error {
	if err := r.store.Returned(ctx, func(back []buffer.Return) error { return r.returned(ctx, back) }); err != nil {
		return err
	}
	if err := r.restoreNamed(ctx); err != nil {
		return err
	}
	if !r.o().Scan || !r.found.complete {
		return nil
	}
	return r.store.WalkStreamKeys(ctx, func(names []string) error { return r.scanned(ctx, names) })
}

// returned lists those of a page of retired streams again that have a key.
func (r *run) returned(ctx context.Context, back []buffer.Return) error {
	names := make([]string, len(back))
	for i := range back {
		names[i] = back[i].Stream
	}
	listed, err := r.store.Listed(ctx, names)
	if err != nil {
		return err
	}
	for i, name := range names {
		switch {
		case !listed[i]:
			delete(r.found.unlisted, name)
			err = r.relist(ctx, name, "retired before, and has a key again", false)
		case r.now.Sub(back[i].Noted) >= keepNoted:
			err = r.store.Forget(ctx, back[i])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// relist puts a name into the set.
func (r *run) relist(ctx context.Context, name, reason string, note bool) error {
	err := r.store.Restore(ctx, name)
	if err == nil && note {
		err = r.store.NoteRelisted(ctx, name)
	}
	if err != nil {
		return r.skip(name, err)
	}
	r.report.StreamsRestored++
	r.record.action(Action{Kind: Restore, Stream: name, Reason: reason})
	return nil
}

// restoreBatch is how many names are looked up at once.
const restoreBatch = 1000

// restoreNamed lists streams that live sessions name.
func (r *run) restoreNamed(ctx context.Context) error {
	var all []string
	for name := range r.found.unlisted {
		all = append(all, name)
	}
	slices.Sort(all)
	for names := range slices.Chunk(all, restoreBatch) {
		// The producer may have listed it since.
		names, err := r.notListed(ctx, names)
		if err != nil {
			return err
		}
		keys, err := r.store.Restorable(ctx, names)
		if err != nil {
			return err
		}
		relisted, err := r.store.Relisted(ctx, names)
		if err != nil {
			return err
		}
		for i, name := range names {
			restore, reason := JudgeUnlisted(keys[i], relisted[i], r.found.listed == 0, r.guard.lost > 0, r.now)
			if !restore {
				continue
			}
			if err := r.relist(ctx, name, reason, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// scanned judges a page of streams that have a key: what is not listed may
// belong to another application, unless a session names it.
func (r *run) scanned(ctx context.Context, names []string) error {
	names, err := r.notListed(ctx, names)
	if err != nil || len(names) == 0 {
		return err
	}
	retired, err := r.store.Retired(ctx, names)
	if err != nil {
		return err
	}
	for i, name := range names {
		if !retired[i] && !r.found.unlisted[name] {
			r.record.fault(KindUnlisted, name)
		}
	}
	return nil
}

// notListed gives those of the names that the set does not hold.
func (r *run) notListed(ctx context.Context, names []string) ([]string, error) {
	listed, err := r.store.Listed(ctx, names)
	if err != nil {
		return nil, err
	}
	var missing []string
	for i, name := range names {
		if !listed[i] {
			missing = append(missing, name)
		}
	}
	return missing, nil
}

// noteSightings notes the streams that have no entry, and forgets those that
// got one or a session, or are gone. Where Redis has no memory left for it, a
// later run does.
func (r *run) noteSightings(ctx context.Context) error {
	if _, err := r.store.Sight(ctx, r.found.watched, r.now); err != nil {
		return err
	}
	return r.store.WalkSighted(ctx, func(names []string) error {
		infos, err := r.store.Infos(ctx, names)
		if err != nil {
			return err
		}
		listed, err := r.store.Listed(ctx, names)
		if err != nil {
			return err
		}
		var over []string
		for i, name := range names {
			if !listed[i] || r.streams.has(name, owned) || infos[i].Err == nil && infos[i].Exists() && !infos[i].LastID.IsZero() {
				over = append(over, name)
			}
		}
		return r.store.Unsight(ctx, over)
	})
}
