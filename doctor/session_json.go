package doctor

import "time"

// grace is how old a session may be before it is to be complete.
const grace = time.Minute

// sessionJSON asks for the Session JSON.
func sessionJSON() Check {
	return Check{
		ID: "session-json", Group: Sessions,
		needs:  []fact{factJSONs},
		Rule:   "The entry has the latest Session JSON in json: without it the session is not ready to be streamed.",
		Source: fromStreaming,
		Remedy: "Write json with every Session JSON that is streamed, the first one at the start. An entry without it is also what an update leaves of a session that had expired.",
		Noun:   "session", Found: "without a Session JSON", Good: "sessions have their Session JSON",
		session: func(s *Session, o *outcome) {
			if s.Sampled && s.JSON == "" && !s.Foreign && !s.unreadable() {
				o.found(Warning, s.Identity, "")
			}
		},
	}
}
