package doctor

import "strconv"

// sessionID asks whether the stream session id can be that of messages.
func sessionID() Check {
	return Check{
		ID: "session-id", Group: Sessions,
		Rule:   "streamSessionId is a decimal number, the one in the field id of the session's messages.",
		Source: fromStreaming,
		Remedy: "Take it from the counter: INCRBY lastStreamSessionId 1.",
		Noun:   "session", Found: "whose streamSessionId is no number", Good: "ids are numbers",
		session: func(s *Session, o *outcome) {
			id := s.StreamID()
			if _, err := strconv.ParseUint(id.Value, 10, 64); id.Set && err != nil && !s.unreadable() {
				o.found(Error, s.Identity, quote(id.Value))
			}
		},
	}
}
