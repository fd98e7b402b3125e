package doctor

import "github.com/streamkeeper/streamkeeper/burst"

// sessionState asks whether the state is one of the model's.
func sessionState() Check {
	return Check{
		ID: "session-state", Group: Sessions,
		needs:  []fact{factJSONs},
		Rule:   "The Session JSON has a state: unknown, waiting, open, closed, truncated, failed or abandoned.",
		Source: fromModel,
		Remedy: "Write one of them; closed when the session ends.",
		Noun:   "session", Found: "whose Session JSON has no known state", Good: "states are known",
		session: func(s *Session, o *outcome) {
			if s.JSON == "" || s.Foreign {
				return
			}
			if d, err := burst.ReadSession([]byte(s.JSON)); err == nil && d.State == "" {
				o.found(Error, s.Identity, d.Written)
			}
		},
	}
}
