package explain

import (
	"context"
	"slices"
	"strings"

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
	f := found{sessionOf(s, is, reason).whilePaused(e.paused), *s}
	if asked && !e.has(s) {
		e.sessions[f.Identity] = append(e.sessions[f.Identity], f)
	}
	if named != nil {
		if named.Named++; len(named.Sessions) < maxSessions {
			named.Sessions = append(named.Sessions, f.Session)
		}
	}
}

// sessionOf is what clean-up says of a session, which is theirs only now.
func sessionOf(s *registry.Session, is cleanup.State, reason string) Session {
	return Session{
		Identity: strings.Clone(s.Identity), Layout: s.Layout, Stream: strings.Clone(s.Stream), ID: strings.Clone(s.ID),
		Updated: s.Updated, State: is, Reason: reason, PutBack: s.PutBack,
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
	if slices.Contains(e.names, s.Identity) && !e.has(s) {
		identity := strings.Clone(s.Identity)
		e.sessions[identity] = append(e.sessions[identity], found{Session{
			Identity: identity, Layout: s.Layout, Stream: strings.Clone(s.Stream), Others: true,
		}, registry.Session{}})
	}
}

// has reports whether a session is known; a scan may return it twice.
func (e *explanation) has(s *registry.Session) bool {
	return slices.ContainsFunc(e.sessions[s.Identity], func(have found) bool { return have.Layout == s.Layout })
}

// readStates reads the states of the Session JSONs of the sessions asked for.
func (e *explanation) readStates(ctx context.Context) error {
	for _, all := range e.sessions {
		for i := range all {
			if all[i].Others {
				continue
			}
			jsons, err := e.b.SessionJSONs(ctx, []registry.Session{all[i].entry})
			if err != nil {
				return err
			}
			all[i].JSONState = burst.State([]byte(jsons[0]))
		}
	}
	return nil
}
