package doctor

// sessionForeign asks for entries of other programs.
func sessionForeign() Check {
	return Check{
		ID: "session-foreign", Group: Sessions,
		Rule:   "Nothing but sessions lies where sessions do: an entry of theirs has streamSessionId, streamName, streamPosition, tStart, tEnd or a Session JSON.",
		Source: fromStreaming,
		Remedy: "Foreign entries are never changed. Give the other program another key, or set SESSIONS_KEY; if they are sessions that their producer writes without those fields, mend it or set SESSIONS_FOREIGN=expire.",
		Noun:   "entry", Found: "that no field marks as a session of RTA's", Good: "no foreign entry",
		session: func(s *Session, o *outcome) {
			if s.Foreign {
				o.found(Advice, s.Identity, "in the "+string(s.Layout)+" layout")
			}
		},
	}
}
