package cleanup

import (
	"context"
	"errors"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst"
)

// startLooks begins the look at the streams of overdue sessions, and takes notice of all
// sessions of the page: each may be the one for which messages count.
func (r *run) startLooks(ctx context.Context, page []registry.Session, overdue []verdict) error {
	if r.o().TimeAlone {
		return nil
	}
	sessions := make([]registry.Session, len(overdue))
	for i, v := range overdue {
		sessions[i] = *v.session
	}
	r.flows.turn(page, r.displaced)
	return r.flows.start(ctx, sessions)
}

// displaced counts sessions anew whose messages are another's.
func (r *run) displaced(a *arrival) {
	if r.second {
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

// sessionMessages is what is known of the messages of one session.
type sessionMessages struct {
	Messages
	arrival *arrival
	// unsure: they may count for another session; told: our own message that it
	// is abandoned is among them.
	unsure, told bool
	// anothers: messages with its id arrive, and count for another session.
	anothers bool
}

// messagesOf looks for messages of a session within a limit. One that holds just the
// Session JSON that marks it as abandoned is our own, and does not count.
func (r *run) messagesOf(ctx context.Context, s *registry.Session, limit time.Duration, marked string) (m sessionMessages, err error) {
	if r.o().TimeAlone || !asks(s) {
		return m, nil
	}
	a, known, err := r.flows.find(ctx, s, limit, 1)
	if err != nil || !known {
		m.Unknown = true
		r.logUnknown(s.Stream)
		return m, err
	}
	if a == nil || !r.flows.isFresh(a.newest, limit) {
		return m, nil
	}
	counts, unsure := r.flows.claim(s, a)
	if !counts {
		m.anothers = true
		return m, nil
	}
	newest := a.newest
	if m.told, err = r.isOurs(ctx, s, newest, marked); err != nil {
		return m, err
	}
	if m.told {
		if a, known, err = r.flows.find(ctx, s, limit, 2); err != nil || !known {
			m.Unknown = true
			return m, err
		}
		newest = a.before
	}
	if newest.IsZero() || !r.flows.isFresh(newest, limit) {
		return m, nil
	}
	m.arrival, m.unsure, m.Newest = a, unsure, r.now
	if newest.IsTime(r.now) {
		m.Newest = newest.Time()
	}
	return m, nil
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
