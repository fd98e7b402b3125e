package doctor

import (
	"fmt"

	"github.com/streamkeeper/streamkeeper/internal/human"
)

// otherTrimmers asks whether somebody else removes entries. A stream that we trim
// by length is never shorter than its limit afterwards, and one that is kept
// whole loses nothing.
func otherTrimmers() Check {
	return Check{
		ID: "other-trimmers", Group: Redis,
		needs:  []fact{factTime, factStreams},
		Rule:   "Only streamkeeper removes entries: a second trimmer, such as the Stream Service's own, takes what the policies keep.",
		Source: fromOurs,
		Remedy: "Turn the other one off: RTA_EnableTrimmer=false for the Stream Service, no MAXLEN or MINID in the producers' XADD, no XDEL. If the limit was lower before, the stream fills up again, and nothing is to be done.",
		Noun:   "stream", Found: "shorter than the policy keeps, though entries have gone",
		stream: func(s *Stream, o *outcome) {
			gone := s.Info.Gone()
			if gone == 0 || !s.Trims || !s.keepsMore() {
				return
			}
			severity := Warning
			detail := fmt.Sprintf("%s, and %s gone", human.Plural(s.Info.Length, "entry"), plainly(gone))
			if limit := s.Policy.LengthLimit(); limit > 0 {
				detail = fmt.Sprintf("%s of %s, and %s gone", human.Count(s.Info.Length), human.Count(limit), plainly(gone))
			}
			if !s.Info.Deleted.IsZero() {
				severity, detail = Advice, detail+", some of them by XDEL"
			}
			o.found(severity, s.Name, detail)
		},
		buffer: func(b *Buffer, o *outcome) {
			t := b.Totals
			switch {
			case o.count > 0:
			case !b.Server.Trims:
				o.says(OK, "trimming is off here: others may trim")
			case t.Uncounted > 0:
				o.says(OK, "not known: this Redis does not count the entries that have gone (7.0 and later do)")
			case t.LimitedByMore > 0:
				o.says(OK, "no other trimmer is seen; not known of %s that age, memory or TRIM_PRESSURE may shorten", human.Plural(t.LimitedByMore, "stream"))
			default:
				o.says(OK, "no other trimmer is seen")
			}
		},
	}
}

// plainly is a number of entries that have gone, with its verb.
func plainly(gone int64) string {
	if gone == 1 {
		return "1 has"
	}
	return human.Count(gone) + " have"
}

// keepsMore reports whether the policy would have kept entries that are not there.
// Under a limit that is no length, that cannot be told.
func (s *Stream) keepsMore() bool {
	if s.Policy.KeepsAll() {
		return true
	}
	return !s.limitedByMore() && s.Info.Length < s.Policy.LengthLimit()
}

// limitedByMore reports whether entries may go for another reason than length.
func (s *Stream) limitedByMore() bool {
	return s.Policy.OldestAge() > 0 || s.Policy.BytesLimit() > 0 || s.Relieved
}
