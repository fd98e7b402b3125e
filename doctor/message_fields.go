package doctor

import (
	"slices"
	"strings"

	"github.com/streamkeeper/streamkeeper/inspect"
)

// messageFields asks for the fields of messages.
func messageFields() Check {
	return Check{
		ID: "message-fields", Group: Messages,
		Rule:   "A message has the fields id, the streamSessionId as a decimal number, and data.",
		Source: fromStreaming,
		Remedy: "XADD stream:<name> * id <number> data <bytes>.",
		Noun:   "message", Found: "without a proper id or without data", Good: "messages have id and data",
		sample: func(s *Sample, o *outcome) {
			for _, m := range s.Messages {
				if fault := slices.IndexFunc(m.Reasons, isFieldFault); fault >= 0 {
					o.found(Error, nameOf(m), wordsOf(m))
				}
			}
		},
	}
}

func isFieldFault(r inspect.Reason) bool {
	return r == inspect.IDMissing || r == inspect.IDNotNumber || r == inspect.DataMissing
}

// nameOf is what a message is called.
func nameOf(m inspect.Message) string { return m.Stream + " " + m.ID.String() }

// wordsOf says what is wrong with a message: the reasons, and where.
func wordsOf(m inspect.Message) string {
	reasons := make([]string, len(m.Reasons))
	for i, r := range m.Reasons {
		reasons[i] = string(r)
	}
	words := strings.Join(reasons, ", ")
	if m.Detail != nil && m.Detail.Short != "" {
		words += ": " + m.Detail.Short
	}
	return words
}
