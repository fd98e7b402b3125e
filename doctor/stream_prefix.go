package doctor

// streamPrefix asks whether the set holds keys instead of names.
func streamPrefix() Check {
	return Check{
		ID: "stream-prefix", Group: Streams, Glance: true,
		Rule:   "The set streams holds names without the prefix of the keys.",
		Source: fromStreaming,
		Remedy: "SADD streams car-7, not stream:car-7: readers put the prefix in front themselves.",
		Noun:   "name", Found: "in the set streams with the prefix of the key", Good: "no name carries the prefix",
		stream: func(s *Stream, o *outcome) {
			if s.Behind == "stream" && s.Info.Type == "none" {
				o.found(Error, s.Name, "the stream is there without it")
			}
		},
	}
}
