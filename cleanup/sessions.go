package cleanup

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst"
)

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

// judgePage judges the sessions of a page that are ours: those that stay by
// their time are visited at once, the old ones are returned, and those that
// stay although they are quiet.
func (r *run) judgePage(ctx context.Context, page []registry.Session, stays func(*registry.Session, verdict)) (old []verdict, quiet []registry.Session, err error) {
	limits := r.o().Limits
	for i := range page {
		s := &page[i]
		if !r.ours(s) {
			continue
		}
		v := verdict{session: s}
		if v.state, v.reason = JudgeSession(*s, Messages{}, limits, r.now); v.state == Stale {
			old = append(old, v)
			continue
		}
		stays(s, v)
		if v.state == Live && r.mayBeQuiet(s) {
			quiet = append(quiet, *s)
		}
	}
	if old, err = r.withoutPutBack(ctx, old, stays); err != nil {
		return nil, nil, err
	}
	if err := r.hear(ctx, page, old); err != nil {
		return nil, nil, err
	}
	for i := range old {
		if quiet, err = r.judgeOld(ctx, &old[i], quiet); err != nil {
			return nil, nil, err
		}
	}
	return old, quiet, nil
}

// withoutPutBack visits the old sessions that stay because they were put back, and
// returns the others.
func (r *run) withoutPutBack(ctx context.Context, old []verdict, stays func(*registry.Session, verdict)) ([]verdict, error) {
	if len(old) == 0 {
		return old, nil
	}
	sessions := make([]registry.Session, len(old))
	for i, v := range old {
		sessions[i] = *v.session
	}
	at, err := r.store.PutBack(ctx, sessions)
	if err != nil {
		return nil, err
	}
	left := old[:0]
	for i, v := range old {
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
	if last := r.c.putBackBefore; !r.flows.second && !last.IsZero() && at.After(last) && !at.After(r.now) {
		r.report.SessionsPutBack++
	}
}

// hear begins the look at the streams of old sessions, and takes notice of all
// sessions of the page: each may be the one for which messages count.
func (r *run) hear(ctx context.Context, page []registry.Session, old []verdict) error {
	if r.o().TimeAlone {
		return nil
	}
	sessions := make([]registry.Session, len(old))
	for i, v := range old {
		sessions[i] = *v.session
	}
	r.flows.turn(page, r.displaced)
	return r.flows.start(ctx, sessions)
}

// displaced counts sessions anew whose messages are another's.
func (r *run) displaced(a *arrival) {
	if r.flows.second {
		return
	}
	r.report.SessionsFlowing -= a.counted
	r.record.withdraw(flowing, a.counted, a.named)
	if a.live {
		r.report.SessionsLive += a.counted
		r.found.abandon += a.counted
		return
	}
	for range a.counted {
		r.countStale(a.lasting)
	}
}

func (r *run) judgeOld(ctx context.Context, v *verdict, quiet []registry.Session) ([]registry.Session, error) {
	limits := r.o().Limits
	h, err := r.heard(ctx, v.session, limits.ExpireAfter, "")
	if err != nil {
		return nil, err
	}
	v.state, v.reason = JudgeSession(*v.session, h.Messages, limits, r.now)
	v.arrival, v.unsure = h.arrival, h.unsure
	if v.state == Flowing && r.mayBeQuiet(v.session) {
		quiet = append(quiet, *v.session)
	}
	return quiet, nil
}

// hearing is what is known of the messages of one session.
type hearing struct {
	Messages
	arrival *arrival
	// unsure: they may count for another session; told: our own message that it
	// is abandoned is among them.
	unsure, told bool
	// anothers: messages with its id arrive, and count for another session.
	anothers bool
}

// heard looks for messages of a session within a limit. One that holds just the
// Session JSON that marks it as abandoned is our own, and does not count.
func (r *run) heard(ctx context.Context, s *registry.Session, limit time.Duration, marked string) (h hearing, err error) {
	if r.o().TimeAlone || !asks(s) {
		return h, nil
	}
	a, known, err := r.flows.find(ctx, s, limit, 1)
	if err != nil || !known {
		h.Unknown = true
		r.logUnknown(s.Stream)
		return h, err
	}
	if a == nil || !r.flows.isFresh(a.newest, limit) {
		return h, nil
	}
	counts, unsure := r.flows.claim(s, a)
	if !counts {
		h.anothers = true
		return h, nil
	}
	newest := a.newest
	if h.told, err = r.isOurs(ctx, s, newest, marked); err != nil {
		return h, err
	}
	if h.told {
		if a, known, err = r.flows.find(ctx, s, limit, 2); err != nil || !known {
			h.Unknown = true
			return h, err
		}
		newest = a.before
	}
	if newest.IsZero() || !r.flows.isFresh(newest, limit) {
		return h, nil
	}
	h.arrival, h.unsure, h.Newest = a, unsure, r.now
	if newest.IsTime(r.now) {
		h.Newest = newest.Time()
	}
	return h, nil
}

// isOurs reports whether a message of a session is what tells its readers that
// it is abandoned.
func (r *run) isOurs(ctx context.Context, s *registry.Session, id buffer.ID, marked string) (bool, error) {
	if marked == "" {
		jsons, err := r.store.SessionJSONs(ctx, []registry.Session{*s})
		if err != nil || burst.State([]byte(jsons[0])) != burst.StateAbandoned {
			return false, err
		}
		marked = jsons[0]
	}
	peeked, err := r.peek(ctx, buffer.PeekRequest{Stream: s.Stream, From: id, Last: true, Before: id.Next()})
	if err != nil {
		return false, err
	}
	return burst.PackedSessionJSON(dataOf(peeked), []byte(marked)) != burst.Auto, nil
}

// logUnknown says once a stream why its messages are not known, unless it is
// for want of room.
func (r *run) logUnknown(stream string) {
	l := r.flows.looks[stream]
	if l == nil || l.failed == nil || l.told || errors.Is(l.failed, errMemory) || errors.Is(l.failed, errBudget) {
		return
	}
	l.told = true
	r.failed(stream, "messages not looked at", l.failed)
}

// jsonBatch is how many Session JSONs are in memory together.
const jsonBatch = 64

// anyOpen reports whether one of the sessions is not closed by its Session JSON.
func (r *run) anyOpen(ctx context.Context, sessions []registry.Session) (bool, error) {
	for part := range slices.Chunk(sessions, jsonBatch) {
		jsons, err := r.store.SessionJSONs(ctx, part)
		if err != nil {
			return false, err
		}
		for _, json := range jsons {
			if !burst.Closed([]byte(json)) {
				return true, nil
			}
		}
	}
	return false, nil
}
