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
		Remedy: "Raise the limit of length, or of bytes: what is younger than TRIM_MIN_AGE stays in any case, so that the stream grows past it.",
		Noun:   "stream", Found: "whose limit keeps less than TRIM_MIN_AGE", Good: "limits keep more than TRIM_MIN_AGE",
		stream: func(s *Stream, o *outcome) {
			p, rate := s.Policy, s.Rate()
			if p.MinAge <= 0 || rate == 0 {
				return
			}
			check := func(limit string, entries float64) {
				if kept := seconds(entries / rate); kept < p.MinAge {
					o.found(Warning, s.Name, limit+" are "+human.Duration(kept)+" at "+about(rate)+"/s; TRIM_MIN_AGE is "+human.Duration(p.MinAge))
				}
			}
			if limit := p.LengthLimit(); limit > 0 {
				check(human.Plural(limit, "entry"), float64(limit))
			}
			if limit := p.BytesLimit(); limit > 0 && s.Bytes > 0 {
				check(human.Bytes(limit), float64(limit)/float64(s.Bytes)*float64(s.Info.Length))
			}
		},
	}
}

// seconds is a number of seconds, within what a duration can be.
func seconds(n float64) time.Duration {
	return time.Duration(min(n, maxSeconds) * float64(time.Second))
}

// maxSeconds is a century.
const maxSeconds = 100 * 365 * 24 * 3600
