package doctor

// sessionPrefix asks whether sessions name keys instead of streams.
func sessionPrefix() Check {
	return Check{
		ID: "session-prefix", Group: Sessions,
		needs:  []fact{factStreams},
		Rule:   "streamName is the stream's name without the prefix of its key.",
		Source: fromStreaming,
		Remedy: "Write the name that is in the set streams: car-7, not stream:car-7.",
		Noun:   "session", Found: "whose streamName carries the prefix of the key", Good: "no streamName carries the prefix",
		session: func(s *Session, o *outcome) {
			if !s.Foreign && s.prefixed() {
				o.found(Error, s.Identity, "streamName "+quote(s.Stream))
			}
		},
	}
}
