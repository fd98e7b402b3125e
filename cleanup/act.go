package cleanup

import (
	"context"
	"fmt"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// act removes what the first walk decided on, and nothing beyond its counts.
func (r *run) act(ctx context.Context) error {
	if r.report.SessionsStale+r.retirable+r.droppable == 0 {
		return nil
	}
	// Noted before the first removal: what a run that is killed has removed
	// must not look like a loss to the next.
	if err := r.setLeft(ctx, r.hashSessions-r.hashStale, r.report.Streams-r.retirable-r.droppable); err != nil {
		return err
	}
	// A session that came meanwhile, or does not expire after all, joins the
	// owners of the first walk.
	if err := r.walkSessions(ctx, func(page []buffer.Session) error { return r.expirePage(ctx, page) }); err != nil {
		return fmt.Errorf("no stream retired, as not all sessions could be read: %w", err)
	}
	if r.retirable+r.droppable == 0 {
		return nil
	}
	if err := r.store.WalkStreams(ctx, func(names []string) error {
		return r.decideStreams(ctx, names, func(f StreamFacts, fate Fate, reason string) error {
			return r.retire(ctx, f, fate, reason)
		})
	}); err != nil {
		return fmt.Errorf("retiring streams: %w", err)
	}
	return nil
}

// expirePage judges a page of sessions anew and removes the stale ones. Of
// those beyond what the first walk counted, each takes the place of one that
// was not removed: a page may name a session twice.
func (r *run) expirePage(ctx context.Context, page []buffer.Session) error {
	var stale []buffer.Session
	var reasons []string
	for _, s := range page {
		if !r.ours(s) {
			continue
		}
		if life, reason := JudgeSession(s, r.o.Limits, r.now); life == Stale {
			stale, reasons = append(stale, s), append(reasons, reason)
		} else {
			r.keepsStream(s)
		}
	}
	for len(stale) > 0 && r.report.SessionsExpired < r.report.SessionsStale {
		n := min(int64(len(stale)), r.report.SessionsStale-r.report.SessionsExpired)
		if err := r.expire(ctx, stale[:n], reasons[:n]); err != nil {
			return err
		}
		stale, reasons = stale[n:], reasons[n:]
	}
	for _, s := range stale {
		r.keepsStream(s)
	}
	return nil
}

// keepsStream notes that the stream of a session is still owned.
func (r *run) keepsStream(s buffer.Session) {
	if s.HasStream {
		r.owned.add(s.Stream)
	}
}

// expire removes sessions that are still as they were read.
func (r *run) expire(ctx context.Context, stale []buffer.Session, reasons []string) error {
	removed, err := r.store.Expire(ctx, stale)
	for i, s := range stale {
		if !removed[i] {
			// Refreshed since it was read, or not tried: it keeps its stream.
			r.keepsStream(s)
			continue
		}
		r.report.SessionsExpired++
		if !s.HasOwnKey() {
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
	if r.remembered >= maxRemembered {
		r.owned.add(s.Stream)
		return
	}
	r.remembered++
	s = s.Forget()
	r.expired[s.Stream] = append(r.expired[s.Stream], s)
}

// retire carries out one stream's fate.
func (r *run) retire(ctx context.Context, f StreamFacts, fate Fate, reason string) error {
	if fate != Retirable && fate != Droppable || r.report.StreamsRetired+r.report.NamesDropped >= r.retirable+r.droppable {
		return nil
	}
	if back, err := r.store.SessionsExist(ctx, r.expired[f.Name]); err != nil || back {
		return err
	}
	var end buffer.Retirement
	var err error
	if fate == Droppable {
		end, err = r.store.DropName(ctx, f.Name)
	} else {
		end, err = r.store.Retire(ctx, f.Name, f.Info.LastID, r.o.Limits.RetireAfter)
	}
	r.ended(r.streamAction(f, fate, reason), end)
	if err != nil {
		return r.failed(f.Name, err)
	}
	return nil
}

// ended counts what became of a stream, and leaves the record.
func (r *run) ended(a Action, end buffer.Retirement) {
	switch {
	case end == buffer.Kept, a.Kind == DropName && end != buffer.Retired:
		return
	case a.Kind == DropName:
		r.report.NamesDropped++
	default:
		r.report.StreamsRetired++
	}
	r.done(a)
	if end == buffer.CameBack {
		r.report.StreamsRestored++
		r.done(Action{Kind: Restore, Stream: a.Stream, Reason: "its key returned while it was retired"})
	}
}

// leave notes what a complete run left behind.
func (r *run) leave(ctx context.Context) error {
	if r.letGo {
		if err := r.drop(ctx); err != nil {
			return err
		}
	}
	return r.setLeft(ctx, r.hashSessions-r.hashExpired,
		r.report.Streams-r.report.StreamsRetired-r.report.NamesDropped+r.report.StreamsRestored)
}

func (r *run) setLeft(ctx context.Context, sessions, streams int64) error {
	return r.store.SetLeft(ctx, buffer.Facts{
		leftSessions: sessions, leftStreams: streams,
		leftExpireAfter: r.o.Limits.ExpireAfter.Milliseconds(), leftRetireAfter: r.o.Limits.RetireAfter.Milliseconds(),
	})
}

// counts are what the brake judges, and what the last run left.
func (r *run) counts(ctx context.Context) (Counts, buffer.Facts, error) {
	left, err := r.store.Left(ctx)
	return Counts{
		Sessions: r.report.Sessions, Expire: r.report.SessionsStale,
		Streams: r.report.Streams, Retire: r.retirable + r.droppable,
		HashSessions: r.hashSessions, HashExpire: r.hashStale,
		LeftSessions: left[leftSessions], LeftStreams: left[leftStreams],
	}, left, err
}

// brake reports whether the run has to stop before it removes anything.
func (r *run) brake(ctx context.Context) (stopped bool, err error) {
	counts, left, err := r.counts(ctx)
	if err != nil {
		return true, err
	}
	held, err := r.held(ctx)
	if err != nil {
		return true, err
	}
	why := r.o.Brake.Judge(counts)
	if why != "" && !r.o.Force {
		stopped, err = r.hold(ctx, counts, held, why)
	} else {
		if why != "" {
			r.o.Log.Warn("the brake is overridden", "why", why)
		}
		if len(held) > 0 {
			err = r.drop(ctx)
		}
	}
	if !stopped {
		r.warnStricter(counts, left)
	}
	return stopped, err
}

// warnStricter says what goes because a limit was lowered since the last run.
func (r *run) warnStricter(c Counts, left buffer.Facts) {
	stricter := func(fact string, now time.Duration) bool {
		before, known := left[fact]
		return known && now.Milliseconds() < before
	}
	if !stricter(leftExpireAfter, r.o.Limits.ExpireAfter) && !stricter(leftRetireAfter, r.o.Limits.RetireAfter) || c.Expire+c.Retire == 0 {
		return
	}
	r.o.Log.Warn("the limits got stricter: this run removes what they no longer keep", "sessions", c.Expire, "streams", c.Retire)
}
