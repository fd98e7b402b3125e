package doctor

import "github.com/streamkeeper/streamkeeper/burst"

// sessionIdentity asks whether entry and Session JSON mean the same session.
func sessionIdentity() Check {
	return Check{
		ID: "session-identity", Group: Sessions,
		needs:  []fact{factJSONs},
		Rule:   "The identity in the Session JSON is the key of the entry.",
		Source: fromStreaming,
		Remedy: "Use the Session JSON's identity as the key of the entry.",
		Noun:   "session", Found: "whose Session JSON has another identity", Good: "identities are those of the entries",
		session: func(s *Session, o *outcome) {
			if s.JSON == "" || s.Foreign {
				return
			}
			if d, err := burst.ReadSession([]byte(s.JSON)); err == nil && d.Identity != s.Identity {
				detail := "no identity"
				if d.Identity != "" {
					detail = "identity " + quote(d.Identity)
				}
				o.found(Error, s.Identity, detail)
			}
		},
	}
}
