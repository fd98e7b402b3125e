package doctor

import (
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// sessionClosed asks whether sessions that have ended say so.
func sessionClosed() Check {
	return Check{
		ID: "session-closed", Group: Sessions,
		needs:  []fact{factStreams, factJSONs, factAttended},
		Rule:   "A session that ends is closed: its last Session JSON has the state closed, or another of those that mean it.",
		Source: fromModel,
		Remedy: "Stream a last Session JSON with the state closed, and write it to the entry. CLEANUP_ABANDON_AFTER marks those whose producer cannot.",
		Noun:   "session", Found: "still open although nothing has come for long", Good: "sessions are closed in the end",
		session: func(s *Session, o *outcome) {
			age, ok := s.Age()
			state := burst.State([]byte(s.JSON))
			if !ok || s.JSON == "" || s.Foreign || age <= s.ExpireAfter/2 || state != burst.StateOpen && state != burst.StateWaiting {
				return
			}
			if s.StreamNewest.IsZero() || s.Now.Sub(s.StreamNewest) > s.ExpireAfter/2 {
				o.found(Warning, s.Identity, state+", last update "+human.Duration(age)+" ago")
			}
		},
		buffer: func(b *Buffer, o *outcome) {
			for _, a := range b.Attended {
				age, ok := a.Session.Age()
				half := a.Session.ExpireAfter / 2
				silent := a.Whole && !a.Found || a.Found && b.Now.Sub(a.Newest) > half
				if ok && age > half && silent && (a.State == burst.StateOpen || a.State == burst.StateWaiting) {
					o.found(Warning, a.Session.Identity, a.State+", last update "+human.Duration(age)+" ago")
				}
			}
		},
	}
}
