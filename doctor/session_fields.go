package doctor

import "strings"

// sessionFields asks for the fields that every session has.
func sessionFields() Check {
	return Check{
		ID: "session-fields", Group: Sessions,
		Rule:   "Each update writes streamSessionId, streamName, streamPosition and lastUpdated.",
		Source: fromStreaming,
		Remedy: "Write all four with each update, in one HSET: an update of an entry that has expired meanwhile would else leave a part of a session.",
		Noun:   "session", Found: "without all fields", Good: "each session has its fields",
		session: func(s *Session, o *outcome) {
			if s.Foreign || s.unreadable() {
				return
			}
			var missing []string
			for _, field := range []struct {
				name string
				set  bool
			}{{"streamSessionId", s.StreamID().Set}, {"streamName", s.HasStream}, {"streamPosition", s.Position().Set}, {"lastUpdated", hasTime(s)}} {
				if !field.set {
					missing = append(missing, field.name)
				}
			}
			if len(missing) > 0 {
				o.found(Error, s.Identity, "lacks "+strings.Join(missing, " and "))
			}
		},
	}
}

func hasTime(s *Session) bool {
	_, value := s.Time()
	return value.Set
}
