package doctor

import "github.com/streamkeeper/streamkeeper/internal/human"

// sessionUpdated asks whether sessions are updated while their messages arrive.
func sessionUpdated() Check {
	return Check{
		ID: "session-updated", Group: Sessions,
		needs:  []fact{factTime, factStreams, factSessions, factAttended},
		Rule:   "While messages arrive, lastUpdated is written often: at least every half of CLEANUP_EXPIRE_AFTER.",
		Source: fromStreaming,
		Remedy: "Update the entry with each time range that is streamed, or at least once a minute.",
		Noun:   "session", Found: "not updated although messages arrive", Good: "sessions are updated while messages arrive",
		buffer: func(b *Buffer, o *outcome) {
			for _, a := range b.Attended {
				age, ok := a.Session.Age()
				if half := a.Session.ExpireAfter / 2; ok && age > half && a.Found && b.Now.Sub(a.Newest) <= half {
					o.found(Warning, a.Session.Identity, "last update "+human.Duration(age)+" ago, last message "+human.Duration(b.Now.Sub(a.Newest))+" ago")
				}
			}
		},
	}
}
