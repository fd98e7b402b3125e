package doctor

import "github.com/streamkeeper/streamkeeper/internal/human"

// recorded asks whether it is remembered what was removed.
func recorded() Check {
	return Check{
		ID: "history", Group: Ourselves,
		needs:  []fact{factHistory},
		Rule:   "What is removed is recorded: who asks for a session or a stream is told when it went, and why.",
		Source: fromOurs,
		Remedy: "Set HISTORY_LENGTH; at maxmemory nothing can be recorded.",
		Good:   "nothing was removed yet",
		server: func(s *Server, o *outcome) {
			switch h := s.History; {
			case s.HistoryLength == 0:
				o.says(Advice, "removals are not recorded (HISTORY_LENGTH=0)")
			case h.Missing > 0:
				o.says(Warning, "%s of the last week could not be recorded", human.Plural(h.Missing, "removal"))
			case !h.Oldest.IsZero():
				o.says(OK, "removals are recorded since %s", h.Oldest.UTC().Format("2006-01-02 15:04 MST"))
			}
		},
	}
}
