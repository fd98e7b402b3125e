package doctor

import (
	"time"

	"github.com/streamkeeper/streamkeeper/internal/human"
)

// flushGap asks whether limits leave storage the time that it needs.
func flushGap() Check {
	return Check{
		ID: "flush-gap", Group: Retention,
		Rule:   "A limit keeps more than storage needs to flush (TRIM_MIN_AGE).",
		Source: fromOurs,
		Remedy: "Raise the limit of length: what is younger than TRIM_MIN_AGE stays in any case, so that the stream grows past it.",
		Noun:   "stream", Found: "whose limit keeps less than TRIM_MIN_AGE", Good: "limits keep more than TRIM_MIN_AGE",
		stream: func(s *Stream, o *outcome) {
			p, rate := s.Policy, s.Rate()
			if p.MinAge <= 0 || p.LengthLimit() == 0 || rate == 0 {
				return
			}
			if kept := time.Duration(float64(p.LengthLimit()) / rate * float64(time.Second)); kept < p.MinAge {
				o.found(Warning, s.Name, human.Plural(p.LengthLimit(), "entry")+" are "+human.Duration(kept)+" at "+about(rate)+"/s; TRIM_MIN_AGE is "+human.Duration(p.MinAge))
			}
		},
	}
}
