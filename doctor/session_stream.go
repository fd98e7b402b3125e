package doctor

import "strings"

// sessionStream asks whether readers find the stream that a session names.
func sessionStream() Check {
	return Check{
		ID: "session-stream", Group: Sessions,
		needs:  []fact{factStreams},
		Rule:   "streamName is a name in the set streams: readers know of no other streams.",
		Source: fromStreaming,
		Remedy: "SADD streams <streamName> before the first message, and again after a restart: clean-up takes the name of a dead stream out.",
		Noun:   "session", Found: "whose stream is not in the set streams", Good: "sessions name listed streams",
		session: func(s *Session, o *outcome) {
			if !s.Foreign && !s.unreadable() && s.HasStream && !s.Listed && !s.prefixed() {
				o.found(Error, s.Identity, "stream "+quote(s.Stream))
			}
		},
	}
}

// prefixed reports whether the session most likely names a key instead of a stream.
func (s *Session) prefixed() bool {
	return s.HasStream && !s.Listed && s.Prefix != "" && strings.HasPrefix(s.Stream, s.Prefix)
}
