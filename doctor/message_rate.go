package doctor

// maxRate is how many messages a second and session are too many.
const maxRate = 50

// messageRate asks how often messages come.
func messageRate() Check {
	return Check{
		ID: "message-rate", Group: Messages,
		needs:  []fact{factSessions},
		Rule:   "Bursts come at about 10 Hz a session.",
		Source: fromStreaming,
		Remedy: "Gather a tenth of a second of data in one burst.",
		Noun:   "stream", Found: "with far more than ten messages a second and session", Good: "messages come at about 10 Hz a session",
		sample: func(s *Sample, o *outcome) {
			if rate := s.Stream.MeanRate() / float64(max(1, s.Sessions)); rate > maxRate && s.Stream.Info.Length >= rateEntries {
				o.found(Advice, s.Stream.Name, about(rate)+" a second and session")
			}
		},
	}
}

// rateEntries are enough for a rate: a few may come in a row.
const rateEntries = 20
