package doctor

import (
	"slices"

	"github.com/streamkeeper/streamkeeper/burst"
)

// messageValid asks whether clients can read messages.
func messageValid() Check {
	return Check{
		ID: "message-valid", Group: Messages,
		Rule:   "data is a StreamDataBurst, serialized and compressed with LZ4.",
		Source: fromIDL,
		Remedy: "streamkeeper inspect <stream> says more of each, and --save makes a file of it for the producer's tests.",
		Noun:   "message", Found: "that no client can read", Good: "the messages sampled can be read",
		sample: func(s *Sample, o *outcome) {
			for _, m := range s.Messages {
				if m.Verdict == burst.Invalid && !slices.ContainsFunc(m.Reasons, isFieldFault) {
					o.found(Error, nameOf(m), wordsOf(m))
				}
			}
		},
	}
}
