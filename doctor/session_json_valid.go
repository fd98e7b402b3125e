package doctor

import "github.com/streamkeeper/streamkeeper/burst"

// sessionJSONValid asks whether Session JSON can be read.
func sessionJSONValid() Check {
	return Check{
		ID: "session-json-valid", Group: Sessions,
		needs:  []fact{factJSONs},
		Rule:   "json is a JSON object, in UTF-8.",
		Source: fromModel,
		Remedy: "Write what the burst with the Session JSON holds, unchanged.",
		Noun:   "session", Found: "whose json is no JSON object", Good: "Session JSON can be read",
		session: func(s *Session, o *outcome) {
			if s.JSON == "" || s.Foreign {
				return
			}
			if _, err := burst.ReadSession([]byte(s.JSON)); err != nil {
				o.found(Error, s.Identity, err.Error())
			}
		},
	}
}
