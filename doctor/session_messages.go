package doctor

import "github.com/streamkeeper/streamkeeper/burst"

// sessionMessages asks whether sessions have messages.
func sessionMessages() Check {
	return Check{
		ID: "session-messages", Group: Sessions,
		needs:  []fact{factTime, factStreams, factSessions, factJSONs, factAttended},
		Rule:   "The messages of a session carry its streamSessionId in their field id, on the stream that it names.",
		Source: fromStreaming,
		Remedy: "Write the same number to both, and append to the stream that streamName names.",
		Noun:   "session", Found: "none of whose messages is there", Good: "sessions have messages",
		buffer: func(b *Buffer, o *outcome) {
			for _, a := range b.Attended {
				s := a.Session
				updated := !s.Updated.IsZero() && s.Fault(b.Now) == nil
				switch {
				case a.Found || !updated || a.State != "" && burst.IsClosedState(a.State):
				case a.Never:
					o.found(Warning, s.Identity, "stream "+quote(s.Stream)+" never had one")
				case a.Whole && s.Updated.After(a.Since.Add(grace)):
					o.found(Warning, s.Identity, "no message of stream "+quote(s.Stream)+" has id "+s.ID)
				}
			}
		},
	}
}
