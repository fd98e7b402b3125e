package doctor

import "strings"

// sessionTwins asks whether an id is used once.
func sessionTwins() Check {
	return Check{
		ID: "session-twins", Group: Sessions,
		needs:  []fact{factStreams, factSessions},
		Rule:   "On a stream each session has a stream session id of its own: by it readers tell whose a message is.",
		Source: fromStreaming,
		Remedy: "Take ids from the counter (INCRBY lastStreamSessionId 1), in every producer, and never set it.",
		Noun:   "id", Found: "that several sessions of one stream have", Good: "each session has an id of its own",
		buffer: func(b *Buffer, o *outcome) {
			o.more = len(b.Twins) >= maxNames
			for _, t := range b.Twins {
				t.isFound(o)
			}
		},
		recording: func(r *Recording, o *outcome) {
			if len(r.Twins.Identities) > 1 {
				r.Twins.isFound(o)
			}
		},
	}
}

func (t Twins) isFound(o *outcome) {
	names := make([]string, len(t.Identities))
	for i, identity := range t.Identities {
		names[i] = quote(identity)
	}
	o.found(Error, t.Stream+" "+t.ID, "sessions "+strings.Join(names, " and "))
}
