package doctor

// streamIDs asks whether ids are times.
func streamIDs() Check {
	return Check{
		ID: "stream-ids", Group: Streams, Glance: true,
		Rule:   "The ids of entries are times in milliseconds, as XADD gives them by itself.",
		Source: fromStreaming,
		Remedy: "XADD stream:<name> * …: Redis gives the id. Streams with other ids are trimmed by length only, and never retired.",
		Noun:   "stream", Found: "whose ids are no times", Good: "ids are times",
		stream: func(s *Stream, o *outcome) {
			if s.Info.Exists() && !s.Info.LastID.IsZero() && !s.Info.LastID.IsTime(s.Now) {
				o.found(Warning, s.Name, "last id "+s.Info.LastID.String())
			}
		},
	}
}
