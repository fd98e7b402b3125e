package doctor

// stateKeys asks whether our own keys can be used.
func stateKeys() Check {
	return Check{
		ID: "state-keys", Group: Ourselves, Glance: true,
		needs:  []fact{factState},
		Rule:   "The keys under STATE_PREFIX are ours alone.",
		Source: fromOurs,
		Remedy: "Remove the key, or choose another STATE_PREFIX: what it is for is not remembered meanwhile.",
		Noun:   "key", Found: "of ours with another type", Good: "our own keys can be used",
		server: func(s *Server, o *outcome) {
			for _, key := range s.Unusable {
				o.found(Warning, key.Name, "a "+key.Type)
			}
		},
	}
}
