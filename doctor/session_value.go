package doctor

import (
	"errors"
	"slices"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
)

// sessionValue asks whether entries can be read at all.
func sessionValue() Check {
	return Check{
		ID: "session-value", Group: Sessions,
		Rule:   "Where a session is one field of the Hash sessions, its value is a JSON object with the fields of a session, streamName as a text.",
		Source: fromStreaming,
		Remedy: "Write valid JSON. Python writes NaN, which is none: json.dumps(…, allow_nan=False) finds it.",
		Noun:   "session", Found: "that cannot be read", Good: "each session can be read",
		session: func(s *Session, o *outcome) {
			if s.unreadable() && !s.Foreign {
				o.found(Error, s.Identity, s.Malformed.Error())
			}
		},
	}
}

// unreadable reports whether nothing but its name is known of the session.
func (s *Session) unreadable() bool {
	return s.Malformed != nil && slices.ContainsFunc([]error{registry.ErrNotJSON, registry.ErrNoName, registry.ErrTwoLayouts, registry.ErrNoHash},
		func(fault error) bool { return errors.Is(s.Malformed, fault) })
}
