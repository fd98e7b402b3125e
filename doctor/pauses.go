package doctor

import (
	"github.com/streamkeeper/streamkeeper/buffer"
)

// pauses asks what is paused.
func pauses() Check {
	return Check{
		ID: "pauses", Group: Ourselves, Glance: true,
		needs:  []fact{factPauses},
		Rule:   "Nothing is paused for longer than it has to be.",
		Source: fromOurs,
		Noun:   "pause", Found: "in force", Good: "nothing is paused",
		Remedy: "End a pause that is over: streamkeeper resume ID.",
		server: func(s *Server, o *outcome) {
			for _, p := range s.Pauses {
				detail := p.What() + " until " + p.Until.Format("2006-01-02 15:04 MST")
				if p.Reason != "" {
					detail += ", " + buffer.Escape(p.Reason)
				}
				o.found(Advice, p.ID, detail)
			}
		},
	}
}
