package doctor

import (
	"strings"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// sessionPosition asks whether readers can begin where a session says.
func sessionPosition() Check {
	return Check{
		ID: "session-position", Group: Sessions,
		Rule:   "streamPosition is the id of an entry, <milliseconds>-<sequence>: where the stream ended when the session began, or 0-0.",
		Source: fromStreaming,
		Remedy: "Write last-generated-id of XINFO STREAM as it was before the first message, or 0-0.",
		Noun:   "session", Found: "whose streamPosition is no id", Good: "positions are ids",
		session: func(s *Session, o *outcome) {
			position := s.Position()
			_, err := buffer.ParseID(position.Value)
			if position.Set && !s.unreadable() && (err != nil || !strings.Contains(position.Value, "-")) {
				o.found(Error, s.Identity, quote(position.Value))
			}
		},
	}
}
