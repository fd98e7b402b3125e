package cleanup

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// acted is what the second scan has done.
type acted struct {
	// expired are the sessions that it removed, by the stream they named, to be
	// looked for once more before the stream is retired; they take so many bytes.
	expired map[string][]expired
	bytes   int64
	// lasting are those that do not expire by themselves.
	lasting int64
	// noMemory: Redis refuses what grows, so nothing more is marked; unmarkable:
	// nothing can be marked as abandoned at all.
	noMemory, unmarkable bool
}

// expired is a session that was removed.
type expired struct {
	identity string
	layout   registry.Layout
}

// Bounds of what is kept in mind of expired sessions. The streams of those
// beyond wait for a later run.
const (
	maxExpiredBytes = 32 << 20
	expiredMemory   = 64 // beside its name
)

// act scans the sessions again, and carries out what the first scan decided on,
// nothing beyond its counts. What the guard stops is not removed; a dry run
// shows it.
func (r *run) act(ctx context.Context) error {
	n := r.found
	removes := n.sessions.stale+n.retire+n.drop > 0 && (!r.guard.stopped || r.dry())
	if !removes && n.abandon == 0 {
		return nil
	}
	r.flows.second = true
	if err := r.settle(ctx); err != nil {
		return fmt.Errorf("nothing removed, as not all sessions could be read: %w", err)
	}
	if removes {
		// Noted before the first removal: what a run that is killed has removed
		// must not look like a loss to the next.
		if err := r.setLeft(ctx, n.sessions.lasting-n.sessions.lastingStale, r.report.Streams-n.retire-n.drop); err != nil {
			return err
		}
	}
	// A session that came meanwhile, or does not expire after all, joins the
	// owners of the first scan.
	if err := r.walkSessions(ctx, func(page []registry.Session) error { return r.actSessions(ctx, page, removes) }); err != nil {
		return fmt.Errorf("no stream retired, as not all sessions could be read: %w", err)
	}
	if !removes || n.retire+n.drop == 0 {
		return nil
	}
	if err := r.walkAlone(ctx, r.retire); err != nil {
		return fmt.Errorf("retiring streams: %w", err)
	}
	return nil
}

// settle finds, of several sessions that name one stream and id, the one with
// the newest time, where the first scan left that open. The second scan may come
// upon them in another order: masters of a cluster are scanned side by side.
func (r *run) settle(ctx context.Context) error {
	if !r.flows.unsure {
		return nil
	}
	return r.walkSessions(ctx, func(page []registry.Session) error {
		r.flows.turn(page, r.displaced)
		return nil
	})
}

// actSessions judges a page of sessions anew, removes the stale ones and marks
// those that are to be abandoned. Of the stale ones beyond what the first scan
// counted, each takes the place of one that was not removed: a page may name a
// session twice.
func (r *run) actSessions(ctx context.Context, page []registry.Session, removes bool) error {
	old, quiet, err := r.judgePage(ctx, page, func(s *registry.Session, v verdict) { r.own(s, v.state) })
	if err != nil {
		return err
	}
	var stale []verdict
	for _, v := range old {
		if v.state == Stale && removes && !r.paused(v.session.Stream) {
			stale = append(stale, v)
			continue
		}
		r.flowsAfterAll(v)
		r.own(v.session, v.state)
	}
	n := r.found.sessions.stale
	for len(stale) > 0 && r.report.SessionsExpired < n {
		part := stale[:min(int64(len(stale)), n-r.report.SessionsExpired)]
		if err := r.expire(ctx, part); err != nil {
			return err
		}
		stale = stale[len(part):]
	}
	for _, v := range stale {
		r.own(v.session, v.state)
	}
	return r.eachQuiet(ctx, quiet, func(q quietVerdict) error { return r.abandon(ctx, q) })
}

// flowsAfterAll counts a session that the first scan counted as stale.
func (r *run) flowsAfterAll(v verdict) {
	if v.state == Flowing && v.arrival.seenAgain() {
		r.report.SessionsStale--
		r.countFlowing(v.session, v.arrival)
	}
}

// expire removes sessions that are still as they were read.
func (r *run) expire(ctx context.Context, stale []verdict) error {
	sessions := make([]registry.Session, len(stale))
	for i, v := range stale {
		sessions[i] = *v.session
	}
	ended, err := r.store.Expire(ctx, sessions, r.expiring())
	for i, v := range stale {
		if !ended[i].Removed {
			if owns := r.remains(ctx, v.session); owns {
				r.own(v.session, v.state)
			}
			continue
		}
		r.report.SessionsExpired++
		if isLasting(*v.session) {
			r.acted.lasting++
		}
		r.remember(v.session)
		if r.o().Undo.wants() && !ended[i].Copied {
			v.reason = r.withoutCopy(v.reason)
		}
		r.record.action(sessionAction(v.session, v.reason))
	}
	return errors.Join(err, r.copied(ctx, ended))
}

// remains reports whether a session that was not removed is still there: it was
// refreshed since it was read, or not tried. If it is gone, it was named twice,
// or expired by itself.
func (r *run) remains(ctx context.Context, s *registry.Session) bool {
	if !s.HasStream || r.streams.has(s.Stream, owned) {
		return true
	}
	there, err := r.store.SessionsExist(ctx, []registry.Session{*s})
	return there || err != nil
}

// remember keeps an expired session in mind if its stream is to be retired.
func (r *run) remember(s *registry.Session) {
	if !s.HasStream || !r.streams.has(s.Stream, dying) {
		return
	}
	bytes := expiredMemory + int64(len(s.Identity))
	if r.acted.bytes+bytes > maxExpiredBytes {
		r.streams.set(s.Stream, later)
		return
	}
	r.acted.bytes += bytes
	all, known := r.acted.expired[s.Stream]
	stream := s.Stream
	if !known {
		stream = strings.Clone(stream)
	}
	r.acted.expired[stream] = append(all, expired{strings.Clone(s.Identity), s.Layout})
}

// cameBack reports whether one of the sessions of a stream that this run has
// removed is there again.
func (r *run) cameBack(ctx context.Context, stream string) (bool, error) {
	gone := r.acted.expired[stream]
	if len(gone) == 0 {
		return false, nil
	}
	sessions := make([]registry.Session, len(gone))
	for i, e := range gone {
		sessions[i] = registry.Session{Identity: e.identity, Layout: e.layout}
	}
	return r.store.SessionsExist(ctx, sessions)
}

// retire carries out what becomes of a stream that no session names.
func (r *run) retire(ctx context.Context, f StreamFacts) error {
	state, reason := JudgeStream(f, r.o().Limits, r.now)
	if state != Retirable && state != Droppable || r.report.StreamsRetired+r.report.NamesDropped >= r.found.retire+r.found.drop {
		return nil
	}
	if err := r.readPauses(ctx); err != nil {
		return err
	}
	switch {
	case r.paused(f.Name):
		r.report.StreamsPaused++
		return nil
	case r.streams.has(f.Name, later):
		r.report.StreamsPostponed++
		return nil
	}
	if back, err := r.cameBack(ctx, f.Name); err != nil || back {
		return err
	}
	var end buffer.Retirement
	var err error
	if state == Droppable {
		end, err = r.store.DropName(ctx, f.Name)
	} else {
		end, err = r.store.Retire(ctx, f.Name, f.Info.LastID, buffer.GroupLimits{
			IdleAfter: r.o().Limits.RetireAfter, Ignore: f.Info.WithoutConsumers,
		})
	}
	r.ended(r.streamAction(f, state, reason), end)
	return r.skip(f.Name, err)
}

// skip counts a stream that could not be cleaned up, and ends the run if the way
// to Redis is broken.
func (r *run) skip(stream string, err error) error {
	if err != nil && !redisconn.IsLost(err) {
		r.failed(stream, "stream not cleaned up", err)
		return nil
	}
	return err
}

// ended counts what became of a stream, and records it.
func (r *run) ended(a Action, end buffer.Retirement) {
	switch {
	case end == buffer.Kept, a.Kind == DropName && end != buffer.Retired && end != buffer.CameBack:
		return
	case a.Kind == DropName:
		r.report.NamesDropped++
	default:
		r.report.StreamsRetired++
	}
	r.record.action(a)
	if end == buffer.CameBack {
		r.report.StreamsRestored++
		r.record.action(Action{Kind: Restore, Stream: a.Stream, Reason: "its key returned while it was retired"})
	}
}
