package cleanup

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
)

// This file takes sessions through both scans, a page at a time. countSessions is
// the first scan's: it counts those that are to expire. expireSessions is the
// second's: it judges them anew and removes them. Both judge by judgePage, which
// goes by [JudgeSession]; what messages say of a session is in messages.go.

// countSessions counts a page of the first scan.
func (r *run) countSessions(ctx context.Context, page []registry.Session) error {
	stays := func(s *registry.Session, v verdict) {
		switch v.state {
		case Malformed:
			r.report.SessionsMalformed++
			r.record.fault(KindSession, s.Identity+": "+v.reason)
		default:
			r.report.SessionsLive++
		}
		r.noteOwner(s, v.state)
		r.o().OnSession(s, v.state, v.reason)
	}
	for i := range page {
		s := &page[i]
		// What cannot be read may own one of our streams, whichever it seems to name.
		r.streams.unreadable.Add(s)
		if !r.ours(s) {
			r.o().OnOthers(s)
			continue
		}
		r.found.sessions.count(s)
	}
	overdue, quiet, err := r.judgePage(ctx, page, stays)
	if err != nil {
		return err
	}
	r.report.Sessions = r.found.sessions.all
	var stale []registry.Session
	for _, v := range overdue {
		r.o().OnSession(v.session, v.state, v.reason)
		if r.countOverdue(v) {
			stale = append(stale, *v.session)
		}
	}
	if err := r.lookForOpen(ctx, stale); err != nil {
		return err
	}
	err = r.eachQuiet(ctx, quiet, func(q quietVerdict) error {
		r.countQuiet(q)
		return nil
	})
	r.flows.done()
	return err
}

// countOverdue counts a session whose time is too old, and reports whether it is to
// expire.
func (r *run) countOverdue(v verdict) (stale bool) {
	switch {
	case v.state == Flowing && !v.unsure:
		r.countFlowing(v.session, v.arrival)
		r.noteOwner(v.session, Flowing)
		return false
	case v.state == Postponed:
		r.report.SessionsPostponed++
		r.noteOwner(v.session, Postponed)
		return false
	case r.paused(v.session.Stream):
		// It is stale and stays: the guard does not count it.
		r.report.SessionsPaused++
		r.report.SessionsStale++
		r.found.sessions.paused++
		r.noteOwner(v.session, Stale)
		return false
	}
	r.countStale(isLasting(*v.session))
	r.found.names.add(Expire, string(v.session.Layout)+" "+v.session.Identity)
	if v.session.HasStream {
		r.streams.set(v.session.Stream, leaving)
	}
	if v.state == Stale {
		r.found.examples.add(sessionAction(v.session, v.reason))
	}
	return true
}

func (r *run) countStale(lasting bool) {
	r.found.sessions.stale++
	r.report.SessionsStale++
	if lasting {
		r.found.sessions.lastingStale++
	}
}

// countFlowing counts a session whose messages arrive, and names its producer.
func (r *run) countFlowing(s *registry.Session, a *arrival) {
	a.counted++
	r.report.SessionsFlowing++
	if kept := r.record.fault(flowing, s.Identity+" on "+s.Stream); kept != "" {
		a.named = append(a.named, kept)
	}
}

// expireSessions judges a page of the second scan anew, removes the stale sessions
// and marks those that are to be abandoned. Of the stale ones beyond what the first
// scan counted, each takes the place of one that was not removed: a page may name a
// session twice.
func (r *run) expireSessions(ctx context.Context, page []registry.Session, removes bool) error {
	overdue, quiet, err := r.judgePage(ctx, page, func(s *registry.Session, v verdict) { r.noteOwner(s, v.state) })
	if err != nil {
		return err
	}
	var stale []verdict
	for _, v := range overdue {
		if v.state == Stale && removes && !r.paused(v.session.Stream) {
			stale = append(stale, v)
			continue
		}
		r.flowsAfterAll(v)
		r.noteOwner(v.session, v.state)
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
		r.noteOwner(v.session, v.state)
	}
	return r.eachQuiet(ctx, quiet, func(q quietVerdict) error { return r.abandon(ctx, q) })
}

// expire removes sessions that are still as they were read: the server compares.
func (r *run) expire(ctx context.Context, stale []verdict) error {
	sessions := make([]registry.Session, len(stale))
	for i, v := range stale {
		sessions[i] = *v.session
	}
	ended, err := r.store.Expire(ctx, sessions, r.howToExpire())
	for i, v := range stale {
		if ended[i].Unknown {
			r.unknown(err)
			r.noteOwner(v.session, v.state)
			continue
		}
		if !ended[i].Removed {
			if owns := r.remains(ctx, v.session); owns {
				r.noteOwner(v.session, v.state)
			}
			continue
		}
		r.report.SessionsExpired++
		if isLasting(*v.session) {
			r.acted.lasting++
		}
		r.rememberExpired(v.session)
		if r.o().Undo.Wants() && !ended[i].Copied {
			v.reason = r.withoutCopy(v.reason)
		}
		r.record.action(sessionAction(v.session, v.reason))
	}
	return errors.Join(err, r.copied(ctx, ended))
}

// flowsAfterAll counts a session that the first scan counted as stale.
func (r *run) flowsAfterAll(v verdict) {
	if v.state == Flowing && v.arrival.seenAgain() {
		r.report.SessionsStale--
		r.countFlowing(v.session, v.arrival)
	}
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

// verdict is what a session of a page is judged to be.
type verdict struct {
	session *registry.Session
	state   State
	reason  string
	// arrival is what is known of the messages of a flowing session; unsure:
	// they may count for another that names the same stream and id.
	arrival *arrival
	unsure  bool
}

// judgePage judges the sessions of a page that are ours. Those that stay by their
// time, or as they are malformed, are visited at once. The overdue are returned, each
// as its messages have it: Stale, Flowing or Postponed. Of the sessions that stay, live
// or flowing, the quiet ones are returned too: they may have to be marked as abandoned.
func (r *run) judgePage(ctx context.Context, page []registry.Session, stays func(*registry.Session, verdict)) (overdue []verdict, quiet []registry.Session, err error) {
	limits := r.o().Limits
	for i := range page {
		s := &page[i]
		if !r.ours(s) {
			continue
		}
		v := verdict{session: s}
		if v.state, v.reason = JudgeSession(*s, Messages{}, limits, r.now); v.state == Stale {
			overdue = append(overdue, v)
			continue
		}
		stays(s, v)
		if v.state == Live && r.mayBeQuiet(s) {
			quiet = append(quiet, *s)
		}
	}
	if overdue, err = r.withoutPutBack(ctx, overdue, stays); err != nil {
		return nil, nil, err
	}
	if err := r.startLooks(ctx, page, overdue); err != nil {
		return nil, nil, err
	}
	for i := range overdue {
		if err := r.judgeByMessages(ctx, &overdue[i]); err != nil {
			return nil, nil, err
		}
		if s := overdue[i].session; overdue[i].state == Flowing && r.mayBeQuiet(s) {
			quiet = append(quiet, *s)
		}
	}
	return overdue, quiet, nil
}

// withoutPutBack visits the overdue sessions that stay because they were put back, and
// returns the others.
func (r *run) withoutPutBack(ctx context.Context, overdue []verdict, stays func(*registry.Session, verdict)) ([]verdict, error) {
	if len(overdue) == 0 {
		return overdue, nil
	}
	sessions := make([]registry.Session, len(overdue))
	for i, v := range overdue {
		sessions[i] = *v.session
	}
	at, err := r.store.PutBack(ctx, sessions)
	if err != nil {
		return nil, err
	}
	left := overdue[:0]
	for i, v := range overdue {
		v.session.PutBack = at[i]
		if v.state, v.reason = JudgeSession(*v.session, Messages{}, r.o().Limits, r.now); v.state == Stale {
			left = append(left, v)
			continue
		}
		r.countPutBack(at[i])
		stays(v.session, v)
	}
	return left, nil
}

// countPutBack counts a session once after it was put back.
func (r *run) countPutBack(at time.Time) {
	if last := r.c.putBackBefore; !r.second && !last.IsZero() && at.After(last) && !at.After(r.now) {
		r.report.SessionsPutBack++
	}
}

// judgeByMessages judges an overdue session again, by its messages.
func (r *run) judgeByMessages(ctx context.Context, v *verdict) error {
	limits := r.o().Limits
	m, err := r.messagesOf(ctx, v.session, limits.ExpireAfter, "")
	if err != nil {
		return err
	}
	v.state, v.reason = JudgeSession(*v.session, m.Messages, limits, r.now)
	v.arrival, v.unsure = m.arrival, m.unsure
	return nil
}

// maxUnlisted is how many streams that sessions name and nobody lists are kept
// in mind; those beyond wait for a later run.
const maxUnlisted = 10_000

// noteOwner notes that a session that stays names its stream.
func (r *run) noteOwner(s *registry.Session, state State) {
	r.streams.unreadable.Add(s)
	if !s.HasStream || r.streams.set(s.Stream, owned) {
		return
	}
	if (state == Live || state == Flowing) && len(r.found.unlisted) < maxUnlisted && !r.found.unlisted[s.Stream] {
		r.found.unlisted[strings.Clone(s.Stream)] = true
	}
}

func sessionAction(s *registry.Session, reason string) Action {
	return Action{Kind: Expire, Session: s.Identity, Stream: s.Stream, Reason: reason, Updated: s.Updated}
}
