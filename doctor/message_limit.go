package doctor

import (
	"slices"

	"github.com/streamkeeper/streamkeeper/internal/human"
)

// messageLimit asks for bursts that are too long.
func messageLimit() Check {
	return Check{
		ID: "message-limit", Group: Messages,
		Rule:   "A burst must not exceed 1 MiB before compression.",
		Source: fromStreaming,
		Remedy: "Split it: several messages in a row are as good.",
		Noun:   "message", Found: "over 1 MiB before compression", Good: "no message sampled is over 1 MiB",
		sample: func(s *Sample, o *outcome) {
			for _, m := range s.Messages {
				if slices.ContainsFunc(m.Reasons, isOverLimit) {
					o.found(Error, nameOf(m), human.Bytes(m.Size))
				}
			}
		},
	}
}
