package doctor

// messageSession asks whether messages have a session.
func messageSession() Check {
	return Check{
		ID: "message-session", Group: Messages,
		needs:  []fact{factSessions},
		Rule:   "The id of a message is the streamSessionId of a session that is registered: readers find messages through it.",
		Source: fromStreaming,
		Remedy: "Write the entry of the session before its first message. An entry that has expired while messages arrive was not updated.",
		Noun:   "message", Found: "whose id no session has", Good: "recent messages have a session",
		sample: func(s *Sample, o *outcome) {
			for _, m := range s.Orphans {
				o.found(Warning, nameOf(m), "id "+m.SessionID)
			}
		},
	}
}
