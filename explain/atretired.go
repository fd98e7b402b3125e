package explain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/history"
)

// This file says what is known of the retirements of a stream, and for how long the
// record tells what was removed.

// judgeRetired is about a stream that was retired at the time that is asked for, or
// later, or may have been. It reports false where that did not matter.
func (q *question) judgeRetired(at *At) bool {
	if i := slices.IndexFunc(q.removals, func(r buffer.Removal) bool { return isRetirement(r) && !r.Time.Before(q.From) }); i >= 0 {
		r := q.removals[i]
		at.Retired = &r
		at.Verdict, at.Reason = ByUs, fmt.Sprintf("the stream was retired at %s by %s: %s", stamp(r.Time), buffer.Escape(r.Instance), buffer.Escape(r.Reason))
		return true
	}
	note := q.retired
	if note.At.IsZero() || note.Dropped || note.At.Before(q.From) {
		return false
	}
	why := q.unrecorded(q.From)
	there := q.info.Exists() && q.info.Length > 0
	switch {
	case !note.Restored && q.cameAfter(note.At):
		at.Reason = fmt.Sprintf("the stream was retired at %s; by which instance, and why, is not in the record", stamp(note.At))
	case note.Restored && there && !q.from().Less(q.info.First):
		return false // it was retired before its first entry came
	case note.Restored && there && q.info.Added >= 0 && q.info.Gone() == 0:
		at.Reason = fmt.Sprintf("the stream was retired before its first entry came, at %s; when, by which instance, and why, is not in the record", stamp(q.info.First.Time()))
	case why != "":
		at.Verdict, at.Reason = NotKnown, fmt.Sprintf("it may have been retired since: that is noted of it at %s; %s", stamp(note.At), why)
		return true
	default:
		return false
	}
	at.Verdict = ByUs
	if !note.Restored { // else the time is another
		at.Retired = &buffer.Removal{Time: note.At, Action: string(cleanup.Retire)}
	}
	return true
}

// cameAfter reports whether nothing that the stream holds is older than a time: a
// retirement that was noted and broken off removed nothing.
func (q *question) cameAfter(t time.Time) bool {
	oldest := q.info.LastID
	if q.info.Length > 0 {
		oldest = q.info.First
	}
	return !q.info.Exists() || oldest.IsZero() || !oldest.Less(buffer.TimeID(t))
}

func isRetirement(r buffer.Removal) bool { return r.Action == string(cleanup.Retire) }

// lastRetired is when the stream was last known to be retired, zero for never.
func (q *question) lastRetired() (last time.Time) {
	if i := slices.IndexFunc(q.removals, isRetirement); i >= 0 {
		last = q.removals[i].Time
	}
	if note := q.retired; !note.Dropped && !note.Restored && note.At.After(last) && q.cameAfter(note.At) {
		last = note.At
	}
	return last
}

// sumsSince are those of what the stream has been since a time: what was trimmed from
// one that was retired says nothing of its successor.
func (q *question) sumsSince(t time.Time) []buffer.TrimSum {
	for i, s := range q.sums {
		if !s.Last.After(t) {
			return q.sums[:i]
		}
	}
	return q.sums
}

// unknown says why the record does not tell what was removed since; "" if it does.
func (q *question) unknown(since time.Time) string {
	r := q.record
	begun := r.Since
	if n := len(q.sums); n > 0 && q.sums[n-1].Last.Before(begun) {
		begun = q.sums[n-1].Last
	}
	kept := q.now.UTC().Truncate(time.Hour).Add(-(buffer.TrimHours - 1) * time.Hour)
	switch {
	case r.Off:
		return "nothing is recorded (HISTORY_LENGTH is 0)"
	case r.Trouble != "":
		return "the record cannot be read: " + r.Trouble
	case since.Before(kept):
		return fmt.Sprintf("the record of trims goes back to %s only", stamp(kept))
	case begun.IsZero():
		return "there is no record yet"
	case since.Before(begun):
		return "it is not certain that the record held before " + stamp(begun)
	}
	for _, gap := range r.Gaps {
		if !gap.Until().Before(since) {
			return fmt.Sprintf("the record has a gap at %s: %s", stamp(gap.Time), buffer.Escape(gap.Reason))
		}
	}
	for _, hour := range r.Hours {
		if hour.Streams >= buffer.MaxTrimSums && hour.Hour.Add(time.Hour).After(since) {
			return fmt.Sprintf("in the hour from %s more streams were trimmed than are recorded", stamp(hour.Hour))
		}
	}
	return ""
}

// unrecorded says why the history does not tell which streams were retired since; "" if
// it does.
func (q *question) unrecorded(since time.Time) string {
	r := q.record
	switch {
	case r.Off:
		return "nothing is recorded (HISTORY_LENGTH is 0)"
	case r.Trouble != "":
		return "the record cannot be read: " + r.Trouble
	case r.RemovalsSince.IsZero():
		return "there is no record yet"
	case since.Before(r.RemovalsSince):
		return "it is not certain that the history held before " + stamp(r.RemovalsSince)
	}
	for _, gap := range r.Gaps {
		if !gap.Until().Before(since) && !strings.HasPrefix(gap.Reason, history.OfTrims) {
			return fmt.Sprintf("the record has a gap at %s: %s", stamp(gap.Time), buffer.Escape(gap.Reason))
		}
	}
	return ""
}
