package cleanup

import (
	"context"
	"strconv"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst"
)

// Outlook is what becomes of a session that stays, if it is not updated any more and
// sends nothing.
type Outlook struct {
	Messages
	// Ignored: no messages count, because of the settings or because it names no stream
	// or has no id. Another: those with its id count for another session, with a newer
	// time. Timeless: ids of its stream are no times, so they count as new.
	Ignored, Another, Timeless bool
	// PutBack is when undo put it back, zero if it did not.
	PutBack time.Time
	// Expires is when it is to expire, and Abandoned when it is to be marked as abandoned
	// before; zero for never, and where it is not known.
	Expires, Abandoned time.Time
}

// Outlook looks at the messages of sessions that stay, given the states of their
// Session JSONs, as a run does of those that are too old.
func (c *Cleaner) Outlook(ctx context.Context, sessions []registry.Session, states []string) ([]Outlook, error) {
	now, err := c.store.Now(ctx)
	if err != nil {
		return nil, err
	}
	r := &run{c: c, store: c.store, now: now, record: newRecord(&c.o, func(Action) {})}
	r.flows = newFlows(c.store, c.o.Limits, c.lookBounds, turns{}, now)
	all, newer, err := r.outlooks(ctx, sessions)
	if err == nil && newer {
		// Another session may have the same stream and id.
		if err = r.readOwners(ctx); err == nil {
			all, _, err = r.outlooks(ctx, sessions)
		}
	}
	if err != nil {
		return nil, err
	}
	back, err := c.store.PutBack(ctx, sessions)
	if err != nil {
		return nil, err
	}
	for i := range all {
		all[i].PutBack = back[i]
		all[i].judge(sessions[i], states[i], c.o.Limits, now)
	}
	return all, nil
}

// outlooks says of sessions when their messages arrived; newer: some after their time.
func (r *run) outlooks(ctx context.Context, sessions []registry.Session) (all []Outlook, newer bool, err error) {
	all = make([]Outlook, len(sessions))
	if !r.o().TimeAlone {
		if err := r.flows.start(ctx, sessions); err != nil {
			return nil, false, err
		}
	}
	for i := range sessions {
		s := &sessions[i]
		m, err := r.messagesOf(ctx, s, r.flows.longest(), "")
		if err != nil {
			return nil, false, err
		}
		o := Outlook{Messages: m.Messages, Another: m.anothers, Ignored: r.o().TimeAlone || !asks(s)}
		o.Timeless = m.arrival != nil && !m.arrival.newest.IsTime(r.now)
		newer = newer || o.Newest.After(s.Updated)
		all[i] = o
	}
	return all, newer, nil
}

// readOwners finds out for which sessions messages count that were looked at.
func (r *run) readOwners(ctx context.Context) error {
	return r.store.WalkSessions(ctx, func(page []registry.Session) error {
		var own []registry.Session
		for i := range page {
			if !page[i].Foreign {
				own = append(own, page[i])
			}
		}
		r.flows.turn(own, func(*arrival) {})
		return nil
	})
}

// judge says when a session expires and is marked, as [JudgeSession] and [JudgeQuiet]
// will.
func (o *Outlook) judge(s registry.Session, state string, l Limits, now time.Time) {
	if o.Unknown || o.Timeless {
		return
	}
	last := latest(s.Updated, o.Newest)
	o.Expires = latest(last, o.PutBack).Add(l.ExpireAfter)
	if l.AbandonAfter <= 0 || state != burst.StateOpen && state != burst.StateWaiting || !hasPlainID(&s) {
		return
	}
	o.Abandoned = last.Add(l.AbandonAfter)
	// What stays because it was put back is not marked meanwhile.
	due, overdue, back := latest(o.Abandoned, now), s.Updated.Add(l.ExpireAfter), o.PutBack.Add(l.ExpireAfter)
	if !o.PutBack.IsZero() && due.After(overdue) && due.Before(back) {
		o.Abandoned = back
		if !o.Newest.After(o.PutBack) {
			o.Abandoned = time.Time{}
		}
	}
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// hasPlainID reports whether a session names a stream, and has an id that its messages
// can have.
func hasPlainID(s *registry.Session) bool {
	n, err := strconv.ParseUint(s.ID, 10, 64)
	return s.HasStream && err == nil && strconv.FormatUint(n, 10) == s.ID
}
