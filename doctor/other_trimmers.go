package doctor

import (
	"fmt"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// otherTrimmers asks whether somebody else removes entries. A stream that we trim
// by length is never shorter than its limit afterwards, and one that is kept
// whole loses nothing; but limits change, and those of one run are lower. So what
// the record of trims says is taken off.
func otherTrimmers() Check {
	return Check{
		ID: "other-trimmers", Group: Redis,
		needs:  []fact{factTime, factStreams, factTrims},
		Rule:   "Only streamkeeper removes entries: a second trimmer, such as the Stream Service's own, takes what the policies keep.",
		Source: fromOurs,
		Remedy: "Turn the other one off: RTA_EnableTrimmer=false for the Stream Service, no MAXLEN or MINID in the producers' XADD, no XDEL. What streamkeeper itself trimmed stands in history --trims, and is taken off.",
		Noun:   "stream", Found: "shorter than the policy keeps, though entries have gone that streamkeeper's record of trims does not have",
		stream: func(s *Stream, o *outcome) {
			if !s.lacksEntries() {
				return
			}
			others, known := s.goneByOthers()
			if others == 0 || !known {
				return
			}
			severity, gone := Warning, s.Info.Gone()
			detail := fmt.Sprintf("%s, and %s gone", human.Plural(s.Info.Length, "entry"), plainly(gone))
			if limit := s.Policy.LengthLimit(); limit > 0 {
				detail = fmt.Sprintf("%s of %s, and %s gone", human.Count(s.Info.Length), human.Count(limit), plainly(gone))
			}
			if others < gone {
				detail += fmt.Sprintf(", %s of them without streamkeeper", human.Count(others))
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
			default:
				text := "no other trimmer is seen"
				if n := t.LimitedByMore; n > 0 {
					text += fmt.Sprintf("; not known of %s that age, memory or TRIM_PRESSURE may shorten", human.Plural(n, "stream"))
				}
				if n := t.Unrecorded; n > 0 {
					text += fmt.Sprintf("; not known of %s, shorter than the policy keeps: %s", human.Plural(n, "stream"), b.Server.whyUnrecorded())
				}
				o.says(OK, "%s", text)
			}
		},
	}
}

// whyUnrecorded says why it is not known who removed entries.
func (s *Server) whyUnrecorded() string {
	if s.HistoryLength == 0 {
		return "trims are not recorded (HISTORY_LENGTH=0)"
	}
	return fmt.Sprintf("their entries may have gone before the record of trims begins, which is of %d h and %s an hour",
		buffer.TrimHours, human.Plural(buffer.MaxTrimSums, "stream"))
}

// lacksEntries reports whether entries have gone that the policy would have kept.
func (s *Stream) lacksEntries() bool { return s.Info.Gone() > 0 && s.Trims && s.keepsMore() }

// goneByOthers is how many entries went without us, as far as the record of trims
// goes. Without a sum of the stream in it, known says that the record would have
// one: the last entry to go went after the oldest that is left had come.
func (s *Stream) goneByOthers() (n int64, known bool) {
	gone := s.Info.Gone()
	if len(s.Sums) == 0 {
		oldest := s.Info.First
		if s.Info.Length == 0 {
			oldest = s.Info.LastID
		}
		recent := oldest.IsTime(s.Now) && s.Now.Sub(oldest.Time()) < (buffer.TrimHours-1)*time.Hour
		return gone, s.Recorded && recent || !s.Info.Deleted.IsZero()
	}
	for _, sum := range s.Sums {
		if sum.Others >= 0 {
			n, known = n+sum.Others, true
		}
	}
	// A run may be about to add to the sum.
	if last := s.Sums[0]; last.Gone >= 0 && s.Now.Sub(last.Last) > sumsPending {
		n, known = n+max(0, gone-last.Gone), true
	}
	if n = min(n, gone); n == 0 && !s.Info.Deleted.IsZero() {
		return gone, true // not how many
	}
	return n, known
}

// sumsPending is more than what a run takes to write what it trimmed.
const sumsPending = time.Minute

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
