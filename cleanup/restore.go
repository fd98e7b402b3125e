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

// restore lists streams again that are ours and have come back.
func (r *run) restore(ctx context.Context) error {
	return r.restorable(ctx, func(name, reason string) error {
		if err := r.store.Restore(ctx, name); err != nil {
			return r.failed(name, err)
		}
		r.report.StreamsRestored++
		r.done(Action{Kind: Restore, Stream: name, Reason: reason})
		return nil
	}, func(settled buffer.Return) error { return r.store.Forget(ctx, settled) })
}

// restorable visits the streams that are not listed and should be: those that
// were retired and have a key or a session again and, where the keyspace is
// scanned, those that have a key and a session. Streams that are back for good
// are settled, and need not be noted any longer.
func (r *run) restorable(ctx context.Context, visit func(name, reason string) error, settle func(buffer.Return) error) error {
	named := make(map[string]bool, len(r.unlisted))
	for _, name := range r.unlisted {
		named[name] = true
	}
	if err := r.store.Returned(ctx, func(back []buffer.Return) error {
		return r.returned(ctx, back, func(name, reason string) error {
			delete(named, name)
			return visit(name, reason)
		}, settle)
	}); err != nil {
		return err
	}
	if err := r.restoreNamed(ctx, named, visit); err != nil {
		return err
	}
	if !r.o.Scan || !r.complete {
		return nil
	}
	return r.store.WalkStreamKeys(ctx, func(names []string) error { return r.scanned(ctx, names, named, visit) })
}

// returned judges a page of streams that were retired and have a key again.
func (r *run) returned(ctx context.Context, back []buffer.Return, visit func(name, reason string) error, settle func(buffer.Return) error) error {
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
			err = visit(name, "retired before, and has a key again")
		case r.now.Sub(back[i].Noted) >= keepNoted:
			err = settle(back[i])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// restoreNamed visits the retired streams that a session names again: the
// producer will not list them, and their first entry may be long in coming.
func (r *run) restoreNamed(ctx context.Context, named map[string]bool, visit func(name, reason string) error) error {
	for names := range slices.Chunk(r.unlisted, lookUpBatch) {
		retired, err := r.store.Retired(ctx, names)
		if err != nil {
			return err
		}
		for i, name := range names {
			if !retired[i] || !named[name] {
				continue
			}
			delete(named, name)
			if err := visit(name, "retired before, and a session names it again"); err != nil {
				return err
			}
		}
	}
	return nil
}

// scanned judges a page of streams that have a key: what is not listed may
// belong to another application, unless a session names it.
func (r *run) scanned(ctx context.Context, names []string, named map[string]bool, visit func(name, reason string) error) error {
	names, err := r.notListed(ctx, names)
	if err != nil || len(names) == 0 {
		return err
	}
	retired, err := r.store.Retired(ctx, names)
	if err != nil {
		return err
	}
	for i, name := range names {
		switch {
		case named[name]:
			delete(named, name)
			if err := visit(name, "a session names it, and it is not listed"); err != nil {
				return err
			}
		case !retired[i]:
			r.fault(KindUnlisted, name)
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
// got one or are gone. Where Redis has no memory left for it, a later run does.
func (r *run) noteSightings(ctx context.Context) error {
	if _, err := r.store.Sight(ctx, r.watched, r.now); err != nil {
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
			if !listed[i] || infos[i].Err == nil && infos[i].Exists() && !infos[i].LastID.IsZero() {
				over = append(over, name)
			}
		}
		return r.store.Unsight(ctx, over)
	})
}
