package doctor

// streamType asks whether listed streams are streams.
func streamType() Check {
	return Check{
		ID: "stream-type", Group: Streams, Glance: true,
		Rule:   "The key of a stream that is listed holds a stream.",
		Source: fromStreaming,
		Remedy: "Find out who writes the key (OBJECT, MONITOR); it stays until somebody removes it.",
		Noun:   "stream", Found: "whose key holds another type", Good: "the keys of listed streams are streams",
		stream: func(s *Stream, o *outcome) {
			switch {
			case s.Info.Err != nil:
				o.found(Warning, s.Name, s.Info.Err.Error())
			case !s.Info.Exists() && s.Info.Type != "none":
				o.found(Error, s.Name, "a "+s.Info.Type)
			}
		},
	}
}
