package doctor

import "github.com/streamkeeper/streamkeeper/internal/human"

// manySessions is how many sessions share a stream before that is worth a word.
const manySessions = 10

// streamShared asks how many sessions a stream carries.
func streamShared() Check {
	return Check{
		ID: "stream-shared", Group: Streams,
		needs:  []fact{factTime, factStreams, factSessions},
		Rule:   "A stream carries few sessions at once: who wants one of them is sent all.",
		Source: fromStreaming,
		Remedy: "Use a stream for each car, or each source.",
		Noun:   "stream", Found: "that more than ten sessions share at once", Good: "streams carry few sessions each",
		buffer: func(b *Buffer, o *outcome) {
			o.more = len(b.Shared) >= maxNames
			for _, s := range b.Shared {
				o.found(Advice, s.Stream, human.Plural(s.Sessions, "session"))
			}
		},
	}
}
