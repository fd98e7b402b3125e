package doctor

// sessionExpiry asks whether entries expire by themselves.
func sessionExpiry() Check {
	return Check{
		ID: "session-expiry", Group: Sessions,
		needs:  []fact{factExpiry},
		Rule:   "Entries expire by themselves after a reasonable interval, where Redis can do that: a key can, a field of a Hash from Redis 7.4 on.",
		Source: fromStreaming,
		Remedy: "EXPIRE sessions:<identity> 86400 with each update; of one Hash, HEXPIRE the fields after each HSET. Clean-up removes what does not expire.",
		Noun:   "session", Found: "that would stay for ever", Good: "sessions expire by themselves, where they can",
		session: func(s *Session, o *outcome) {
			if s.Sampled && s.Lasting && !s.Foreign {
				o.found(Advice, s.Identity, "")
			}
		},
	}
}
