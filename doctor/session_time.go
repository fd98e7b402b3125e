package doctor

// sessionTime asks whether the time of the last update can be one.
func sessionTime() Check {
	return Check{
		ID: "session-time", Group: Sessions,
		Rule:   "lastUpdated is the time of the last update in milliseconds since 1970, as a whole number.",
		Source: fromStreaming,
		Remedy: "Write milliseconds: int(time.time() * 1000) in Python, DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() in .NET. Such sessions are never removed; docs/safety.md shows how to do it by hand.",
		Noun:   "session", Found: "whose lastUpdated is no time in milliseconds", Good: "times are in milliseconds",
		session: func(s *Session, o *outcome) {
			if s.Foreign || s.unreadable() || !hasTime(s) {
				return
			}
			if err := s.Fault(s.Now); err != nil {
				_, value := s.Time()
				o.found(Error, s.Identity, quote(value.Value)+": "+err.Error())
			}
		},
	}
}
