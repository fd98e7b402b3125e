package doctor

// sessionTimeName asks what the time of the last update is called.
func sessionTimeName() Check {
	return Check{
		ID: "session-time-name", Group: Sessions,
		Rule:   "The time of the last update is called lastUpdated.",
		Source: fromStreaming,
		Remedy: "Write lastUpdated; other programs do not look for another name.",
		Noun:   "session", Found: "whose time is called otherwise", Good: "times are called lastUpdated",
		session: func(s *Session, o *outcome) {
			if name, value := s.Time(); value.Set && name != "lastUpdated" && !s.Foreign && !s.unreadable() {
				o.found(Advice, s.Identity, name)
			}
		},
	}
}
