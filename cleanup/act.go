package cleanup

import (
	"context"
	"fmt"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// memory is what the last run left behind, and the decision that the brake
// holds back.
func (r *run) memory(ctx context.Context) (sessions, streams int64, held buffer.Facts, err error) {
	left, err := r.store.Left(ctx)
	if err != nil {
		return 0, 0, nil, err
	}
	held, err = r.store.Held(ctx)
	return left[leftSessions], left[leftStreams], held, err
}

// brake reports whether the run has to stop before it removes anything.
func (r *run) brake(ctx context.Context) (stopped bool, err error) {
	counts := r.counts()
	var held buffer.Facts
	if counts.LeftSessions, counts.LeftStreams, held, err = r.memory(ctx); err != nil {
		return true, err
	}
	why := r.o.Brake.Judge(counts)
	if why == "" || r.o.Force {
		if why != "" {
			r.o.Log.Warn("the brake is overridden", "why", why)
		}
		if len(held) > 0 {
			err = r.store.SetHeld(ctx, nil)
		}
		return false, err
	}
	since := r.o.Brake.stands(counts, held, r.now)
	if r.o.Brake.letsGo(since, r.now) {
		r.o.Log.Warn("the brake lets go: the decision has stood for long enough", "why", why, "since", since)
		return false, r.store.SetHeld(ctx, nil)
	}
	r.report.Brake = why
	return true, r.store.SetHeld(ctx, buffer.Facts{heldSince: since.UnixMilli(), heldRemovals: counts.Expire + counts.Retire})
}

// act removes what the first walk decided on, and nothing beyond its counts.
func (r *run) act(ctx context.Context) error {
	if r.report.SessionsStale+r.retirable+r.droppable == 0 {
		return nil
	}
	// The owners are learnt anew, so that a session that came meanwhile, or
	// did not expire after all, keeps its stream.
	if err := r.newOwners(ctx); err != nil {
		return err
	}
	if err := r.store.WalkSessions(ctx, func(page []buffer.Session) error { return r.expirePage(ctx, page) }); err != nil {
		return fmt.Errorf("no stream retired, as not all sessions could be read: %w", err)
	}
	if err := r.store.WalkStreams(ctx, func(names []string) error {
		return r.decideStreams(ctx, names, func(name string, info buffer.StreamInfo, fate Fate, reason string) error {
			return r.retire(ctx, name, info, fate, reason)
		})
	}); err != nil {
		return fmt.Errorf("retiring streams: %w", err)
	}
	r.summary()
	return nil
}

// expirePage judges a page of sessions anew and removes the stale ones.
func (r *run) expirePage(ctx context.Context, page []buffer.Session) error {
	var stale []buffer.Session
	var reasons []string
	for _, s := range page {
		if !r.ours(s) {
			continue
		}
		life, reason := JudgeSession(s, r.o.Limits, r.now)
		if life == Stale && r.report.SessionsExpired+int64(len(stale)) < r.report.SessionsStale {
			stale, reasons = append(stale, s), append(reasons, reason)
			continue
		}
		if s.HasStream {
			r.owned.add(s.Stream)
		}
	}
	removed, err := r.store.Expire(ctx, stale)
	for i, s := range stale {
		if !removed[i] {
			// Refreshed since it was read, or not tried: it keeps its stream.
			if s.HasStream {
				r.owned.add(s.Stream)
			}
			continue
		}
		r.report.SessionsExpired++
		if s.Layout != buffer.LayoutKeys {
			r.hashExpired++
		}
		r.remember(s)
		r.done(sessionAction(s, reasons[i]))
	}
	return err
}

// maxRemembered is how many expired sessions a run keeps in mind in order to
// look for them again. The streams of those beyond wait for the next run.
const maxRemembered = 50_000

func (r *run) remember(s buffer.Session) {
	if !s.HasStream {
		return
	}
	if len(r.expired) >= maxRemembered {
		r.owned.add(s.Stream)
		return
	}
	r.expired[s.Stream] = append(r.expired[s.Stream], s)
}

// retire carries out one stream's fate.
func (r *run) retire(ctx context.Context, name string, info buffer.StreamInfo, fate Fate, reason string) error {
	if fate != Retirable && fate != Droppable || r.report.StreamsRetired+r.report.NamesDropped >= r.retirable+r.droppable {
		return nil
	}
	if known := r.expired[name]; len(known) > 0 {
		back, err := r.store.SessionsExist(ctx, known)
		if err != nil {
			return err
		}
		if back {
			return nil
		}
	}
	var end buffer.Retirement
	var err error
	if fate == Droppable {
		end, err = r.store.DropName(ctx, name)
	} else {
		end, err = r.store.Retire(ctx, name, info.LastID, r.o.Limits.RetireAfter)
	}
	action := streamAction(name, info, fate, reason)
	switch {
	case end == buffer.Kept || end == buffer.CameBack:
	case fate == Droppable:
		r.report.NamesDropped++
		r.done(action)
	default:
		r.report.StreamsRetired++
		r.done(action)
	}
	if err != nil {
		return r.failed(name, err)
	}
	return nil
}

// failed counts an item that could not be done, and ends the run if the way
// to Redis is broken.
func (r *run) failed(stream string, err error) error {
	if buffer.IsLost(err) {
		return err
	}
	r.report.Errors++
	r.o.Log.Warn("stream not cleaned up", "stream", buffer.Escape(stream), "class", string(buffer.ClassOf(err)), "error", err)
	return nil
}

// restore lists retired streams again that have come back.
func (r *run) restore(ctx context.Context) error {
	return r.returned(ctx, func(name string) error {
		if err := r.store.Restore(ctx, name); err != nil {
			return r.failed(name, err)
		}
		r.report.StreamsRestored++
		r.done(restoreAction(name))
		return nil
	})
}

func (r *run) planRestores(ctx context.Context, visit func(Action)) error {
	return r.returned(ctx, func(name string) error {
		r.report.StreamsRestored++
		visit(restoreAction(name))
		return nil
	})
}

func restoreAction(name string) Action {
	return Action{Kind: Restore, Stream: name, Reason: "retired before, and has a key again"}
}

// returned visits the remembered names that have a key and are not listed.
func (r *run) returned(ctx context.Context, visit func(name string) error) error {
	return r.store.Returned(ctx, func(names []string) error {
		listed, err := r.store.Listed(ctx, names)
		if err != nil {
			return err
		}
		for i, name := range names {
			if listed[i] {
				continue
			}
			if err := visit(name); err != nil {
				return err
			}
		}
		return nil
	})
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

// maxRecords is how many removals of a run leave a line of their own.
const maxRecords = 1000

// done leaves the record of one action.
func (r *run) done(a Action) {
	r.o.OnAction(a)
	if r.records++; r.records > maxRecords {
		return
	}
	attrs := []any{"action", string(a.Kind)}
	if a.Session != "" || a.Kind == Expire || a.Kind == Abandon {
		attrs = append(attrs, "session", buffer.Escape(a.Session))
	}
	attrs = append(attrs, "stream", buffer.Escape(a.Stream))
	if !a.Updated.IsZero() {
		attrs = append(attrs, "updated", a.Updated.Format(time.RFC3339))
	}
	r.o.Log.Info("cleaned up", append(attrs, "reason", a.Reason)...)
}

// summary says how many removals left no line of their own.
func (r *run) summary() {
	if more := r.records - maxRecords; more > 0 {
		r.o.Log.Info("cleaned up more, not listed one by one", "count", more)
	}
}
