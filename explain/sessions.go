package explain

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/cleanup"
)

// session notes a session that is asked for, or that names a stream that is.
func (e *explanation) session(s *registry.Session, is cleanup.State, reason string) {
	e.near.offer(s.Identity, e.names)
	named := e.streams[s.Stream]
	if !s.HasStream {
		named = nil
	} else {
		e.near.offer(s.Stream, e.names)
	}
	asked := slices.Contains(e.names, s.Identity)
	if named == nil && !asked {
		return
	}
	room := named != nil && len(e.naming[s.Stream]) < maxSessions
	if !asked && !room {
		named.Named++
		return
	}
	f, again := e.keep(s, is, reason)
	if again {
		return
	}
	if asked {
		e.sessions[f.Identity] = append(e.sessions[f.Identity], f)
	}
	if named != nil {
		named.Named++
	}
	if room {
		e.naming[f.Stream] = append(e.naming[f.Stream], f)
	}
}

// keep keeps a session. again: it is kept already, as a scan may return it twice.
func (e *explanation) keep(s *registry.Session, is cleanup.State, reason string) (f *found, again bool) {
	for _, f := range e.kept[s.Identity] {
		if f.Layout == s.Layout {
			return f, true
		}
	}
	f = &found{sessionOf(s, is, reason).whilePaused(e.paused), *s}
	f.entry.Identity, f.entry.Stream, f.entry.ID = f.Identity, f.Stream, f.ID
	e.kept[f.Identity] = append(e.kept[f.Identity], f)
	return f, false
}

// sessionOf is what clean-up says of a session, which is theirs only now.
func sessionOf(s *registry.Session, is cleanup.State, reason string) Session {
	return Session{
		Identity: strings.Clone(s.Identity), Layout: s.Layout, Stream: strings.Clone(s.Stream), ID: strings.Clone(s.ID),
		Updated: s.Updated, State: is, Reason: reason,
	}
}

// whilePaused says that a session that would expire stays for now.
func (s Session) whilePaused(paused func(stream string) bool) Session {
	if s.State == cleanup.Stale && paused(s.Stream) {
		s.Reason += ", but clean-up is paused"
	}
	return s
}

// others notes a session whose stream is left to others.
func (e *explanation) others(s *registry.Session) {
	e.near.offer(s.Identity, e.names)
	if !slices.Contains(e.names, s.Identity) {
		return
	}
	if f, again := e.keep(s, "", ""); !again {
		f.Session = Session{Identity: f.Identity, Layout: f.Layout, Stream: f.Stream, Others: true}
		e.sessions[f.Identity] = append(e.sessions[f.Identity], f)
	}
}

// readStates reads the states of the Session JSONs of the sessions that are kept.
func (e *explanation) readStates(ctx context.Context) error {
	var ours []*found
	for _, all := range e.kept {
		for _, f := range all {
			if !f.Others {
				ours = append(ours, f)
			}
		}
	}
	const together = 64 // Session JSONs in memory
	for part := range slices.Chunk(ours, together) {
		entries := make([]registry.Session, len(part))
		for i, f := range part {
			entries[i] = f.entry
		}
		jsons, err := e.b.SessionJSONs(ctx, entries)
		if err != nil {
			return err
		}
		for i, f := range part {
			f.JSONState = burst.State([]byte(jsons[i]))
		}
	}
	return nil
}

// readOutlooks finds out whether messages of the sessions arrive, and what becomes of
// those that stay.
func (e *explanation) readOutlooks(ctx context.Context, c *cleanup.Cleaner, now time.Time) error {
	var read []*found
	var entries []registry.Session
	var states []string
	for _, all := range e.kept {
		for _, f := range all {
			if f.State == cleanup.Live || f.State == cleanup.Flowing || f.State == cleanup.Stale {
				read, entries, states = append(read, f), append(entries, f.entry), append(states, f.JSONState)
			}
		}
	}
	if len(read) == 0 {
		return nil
	}
	outlooks, err := c.Outlook(ctx, entries, states)
	if err != nil {
		return err
	}
	for i, f := range read {
		f.Outlook = &outlooks[i]
		if f.State == cleanup.Stale {
			f.Outlook.Expires, f.Outlook.Abandoned = time.Time{}, time.Time{}
		}
		if at := f.Outlook.Abandoned; at.IsZero() || at.After(now) || f.Action != nil {
			continue
		}
		f.Outlook.Abandoned = time.Time{}
		f.Held = "its entry or its stream does not allow it"
		if e.paused(f.Stream) {
			f.Held = "clean-up is paused"
		}
	}
	return nil
}
