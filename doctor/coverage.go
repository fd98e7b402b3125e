package doctor

import (
	"time"

	"github.com/streamkeeper/streamkeeper/internal/escape"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// shortCoverage is less than any storage takes to flush, and to try again.
const shortCoverage = time.Minute

// coverage asks how much time streams cover.
func coverage() Check {
	return Check{
		ID: "coverage", Group: Retention,
		Rule:   "A stream covers the time between what storage has flushed and now, a minute at the least.",
		Source: fromStreaming,
		Remedy: "Raise TRIM_MAX_LENGTH, or limit by age instead: see retention-afforded. Set TRIM_MIN_AGE to the time that storage needs.",
		Noun:   "stream", Found: "whose limit leaves less than a minute of data", Good: "no limit leaves less than a minute of data",
		stream: func(s *Stream, o *outcome) {
			limit, covered := s.Policy.LengthLimit(), s.Coverage()
			if limit > 0 && s.Info.Length >= limit && covered > 0 && covered < shortCoverage && s.Flows(shortCoverage) {
				o.found(Warning, s.Name, human.Duration(covered)+" in "+human.Plural(s.Info.Length, "entry"))
			}
		},
		buffer: func(b *Buffer, o *outcome) {
			if t := b.Totals; o.count == 0 && t.LeastCoverage > 0 {
				o.says(OK, "streams cover %s at the least (%s)", human.Duration(t.LeastCoverage), escape.Name(shortened(t.Least)))
			}
		},
	}
}
