package doctor

import (
	"slices"

	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/inspect"
)

// messageAdvice asks whether messages are as they should be.
func messageAdvice() Check {
	return Check{
		ID: "message-advice", Group: Messages,
		Rule:   "Messages are as the schema and the session model have them: known fields, time ranges in order, samples that divide evenly.",
		Source: fromIDL,
		Remedy: "docs/inspector.md says what each reason means.",
		Noun:   "message", Found: "that can be read, with faults", Good: "the messages sampled are as they should be",
		sample: func(s *Sample, o *outcome) {
			for _, m := range s.Messages {
				if m.Verdict == burst.Warn && slices.ContainsFunc(m.Reasons, func(r inspect.Reason) bool { return !isOverLimit(r) }) {
					o.found(Warning, nameOf(m), wordsOf(m))
				}
			}
		},
	}
}

func isOverLimit(r inspect.Reason) bool { return r == inspect.Reason(burst.OverOneMiB.String()) }
