package explain

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// Verdict is whether data of a time was removed, and by whom.
type Verdict string

// The verdicts.
const (
	ByUs     Verdict = "yes"
	ByEither Verdict = "yes, or by others"
	ByOthers Verdict = "no, by others"
	NotByUs  Verdict = "not by us"
	Nobody   Verdict = "no"
	NotKnown Verdict = "not known"
)

// At is what became of the data of a time.
type At struct {
	Span
	Verdict Verdict
	Reason  string
	// Entries are those of that time that are there; More: there are more.
	Entries int64
	More    bool
	// Trims and Retired are what removed data of that time, or may have.
	Trims   []buffer.TrimSum
	Retired *buffer.Removal
}

// recordDelay is how late the record of a removal may be.
const recordDelay = time.Second

// countAt is how far entries of a time are counted.
var countAt = buffer.CountLimit{Entries: 10_000, Bytes: 16 << 20}

// judgeTimes says what became of the data of a time in each stream.
func (e *explanation) judgeTimes(ctx context.Context, record Record, now time.Time) error {
	span, err := ParseSpan(e.o.At, now)
	if err != nil {
		return err
	}
	// What went before the streams were looked at is in the record by then.
	timer := time.NewTimer(recordDelay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("waiting for the record: %w", ctx.Err())
	case <-timer.C:
	}
	if record.Trouble == "" {
		err := e.readTrims(ctx, now.Add(recordDelay))
		if err == nil {
			err = record.dropAlive(ctx, e.b)
		}
		if err != nil {
			record.Trouble = err.Error()
		}
	}
	for _, name := range e.ours {
		s := e.streams[name]
		q := question{span, s.Info, s.Trims, s.Past.Removals, s.Retired, record, now}
		at := At{Span: span}
		if s.Info.Exists() {
			r := buffer.Range{Stream: name, From: q.from(), To: q.to()}
			var all bool
			if at.Entries, all, err = e.b.CountRange(ctx, r, countAt); err != nil {
				return err
			}
			at.More = !all
		}
		q.judge(&at)
		s.At = &at
	}
	return nil
}

// dropAlive drops the runs that have given a sign of life since they were read: what
// they had removed by then is recorded. Those that began later removed nothing of what
// was missing then.
func (r *Record) dropAlive(ctx context.Context, b *buffer.Buffer) error {
	runs, err := b.Underway(ctx)
	if err != nil {
		return err
	}
	r.Gaps = slices.DeleteFunc(slices.Clone(r.Gaps), func(gap buffer.Removal) bool {
		return gap.Run != "" && !slices.ContainsFunc(runs, func(run buffer.Removal) bool { return run.Run == gap.Run && run.Time.Equal(gap.Time) })
	})
	return nil
}

// question is what a verdict is based on.
type question struct {
	Span
	info buffer.StreamInfo
	// sums are what was trimmed, and removals what else was done, the newest first.
	sums     []buffer.TrimSum
	removals []buffer.Removal
	retired  buffer.RetiredNote
	record   Record
	now      time.Time
}

func (q *question) from() buffer.ID { return buffer.TimeID(q.From) }
func (q *question) to() buffer.ID   { return buffer.TimeID(q.To) }

// judge finds the verdict. Ids are times, and only the oldest entries are ever
// trimmed: what is above the oldest entry was not, and what is below it went after
// it had come.
func (q *question) judge(at *At) {
	if q.info.Exists() && !q.info.LastID.IsZero() && !q.info.LastID.IsTime(q.now) {
		at.Verdict, at.Reason = NotKnown, "the ids of its entries are no times"
		return
	}
	if q.judgeRetired(at) {
		return
	}
	q.sums = q.sumsSince(q.lastRetired())
	switch {
	case !q.info.Exists():
		q.judgeWithoutKey(at)
	case q.info.LastID.Less(q.from()):
		at.Verdict, at.Reason = Nobody, "nothing was appended to it since "+stamp(q.info.LastID.Time())
	case q.info.Length > 0 && !q.from().Less(q.info.First):
		at.Verdict, at.Reason = q.judgeThere(at)
	default:
		q.judgeBelow(at)
	}
}

// judgeWithoutKey is about a stream whose key is gone, or of another type.
func (q *question) judgeWithoutKey(at *At) {
	gone := "there is no key"
	if q.info.Type != "none" {
		gone = "its key is a " + q.info.Type + " now"
	}
	covers, _, unsure := q.covered(q.from(), q.to())
	why := cmp.Or(q.unknown(q.From), q.unrecorded(q.From))
	switch {
	case len(covers) > 0 && !unsure:
		at.Verdict, at.Trims = ByEither, covers
		at.Reason = trimmedText(covers[0]) + "; later the rest went: " + gone
	case why != "":
		at.Verdict, at.Reason = NotKnown, why
	default:
		at.Verdict, at.Reason = ByOthers, gone+", and streamkeeper did not retire it since"
	}
}

// judgeThere is about a time of which the oldest entry is not younger.
func (q *question) judgeThere(at *At) (Verdict, string) {
	deleted := q.info.Deleted
	there := fmt.Sprintf("its oldest entry, of %s, is not younger", stamp(q.info.First.Time()))
	switch {
	case at.Entries > 0:
		reason := fmt.Sprintf("it holds %s%s of that time, and %s", atLeast(at.More), human.Plural(at.Entries, "entry"), there)
		if !deleted.Less(q.from()) {
			reason += "; others have deleted single entries (XDEL), of that time or later"
		}
		return Nobody, reason
	case !deleted.Less(q.from()) && deleted.Less(q.to()):
		return ByOthers, "an entry of that time was deleted by itself (XDEL), and " + there
	case !deleted.Less(q.from()):
		return NotByUs, "others have deleted single entries (XDEL), and " + there
	case q.info.Added < 0:
		return NotByUs, "no entry of that time is there, and " + there
	}
	return Nobody, "no entry of that time was ever there: none was deleted by itself, and " + there
}

func atLeast(more bool) string {
	if more {
		return "at least "
	}
	return ""
}

// judgeBelow is about a time before the oldest entry.
func (q *question) judgeBelow(at *At) {
	end := q.to()
	if q.info.Length > 0 && q.info.First.Less(end) {
		end = q.info.First
	}
	covers, rest, unsure := q.covered(q.from(), end)
	var reasons []string
	if at.Entries > 0 {
		reasons = append(reasons, fmt.Sprintf("it holds %s%s of that time, from %s on; of what is older", atLeast(at.More), human.Plural(at.Entries, "entry"), stamp(q.info.First.Time())))
	}
	for i := range covers {
		at.Trims = append(at.Trims, covers[i])
		reasons = append(reasons, trimmedText(covers[i]))
	}
	switch {
	case unsure:
		at.Verdict = NotKnown
		reasons = append(reasons, "that was the first recorded trim of it: how far back it reached is not known")
	case len(covers) == 0:
		at.Verdict, rest = q.judgeRest(q.from(), end)
		reasons = append(reasons, rest)
	default:
		at.Verdict = ByUs
		if slices.ContainsFunc(covers, func(s buffer.TrimSum) bool { return s.Others > 0 }) {
			at.Verdict = ByEither
		}
		if slices.ContainsFunc(covers, q.isDoubtful) {
			at.Verdict, rest = ByEither, strings.TrimPrefix(rest+"; what went without streamkeeper in that hour is not known, as the record has a gap", "; ")
		}
		if rest != "" {
			reasons = append(reasons, rest)
		}
	}
	at.Reason = strings.Replace(strings.Join(reasons, "; "), "of what is older; ", "of what is older: ", 1)
}

// trimmedText says what a sum is.
func trimmedText(s buffer.TrimSum) string {
	text := fmt.Sprintf("trimmed between %s and %s by %s, by %s: %s in that hour", stamp(s.Hour), stamp(s.Last),
		buffer.Escape(strings.Join(s.Reasons, " and ")), buffer.Escape(s.Instance), human.Plural(s.Entries, "entry"))
	if s.Others > 0 {
		text += fmt.Sprintf(", and %s more went without streamkeeper", human.Count(s.Others))
	}
	return text
}

// covered are the sums that removed what lies between two ids, the oldest first;
// rest says what lies outside them, "" for nothing. Unsure: one of them begins
// nobody knows where.
func (q *question) covered(from, end buffer.ID) (covers []buffer.TrimSum, rest string, unsure bool) {
	var lower, upper, reached buffer.ID
	for i, s := range slices.Backward(q.sums) {
		lower = s.Before
		known := !lower.IsZero() || i < len(q.sums)-1 || s.Others == 0
		if lower.IsZero() {
			lower = upper // the stream was emptied before
		}
		if upper = s.After; upper.IsZero() {
			upper = buffer.TimeID(s.Last).Next()
		}
		if !lower.Less(end) || !from.Less(upper) {
			continue
		}
		switch {
		case len(covers) > 0 || !known:
		case lower.IsZero():
			rest = "that was the first recorded trim of it, so whether anything of that time was there is not known"
		case from.Less(lower):
			rest = "what is older than " + stamp(lower.Time()) + " went otherwise, or before"
		}
		unsure = unsure || !known
		covers, reached = append(covers, s), upper
	}
	if len(covers) > 0 && reached.Less(end) {
		_, why := q.judgeRest(reached, end)
		rest = strings.TrimPrefix(rest+"; of what came from "+stamp(reached.Time())+" on: "+why, "; ")
	}
	return covers, rest, unsure
}

// isDoubtful reports whether others may have removed something of a sum: the record has
// a gap in its hour, so it does not tell.
func (q *question) isDoubtful(s buffer.TrimSum) bool {
	return s.Others < 0 && slices.ContainsFunc(q.record.Gaps, func(gap buffer.Removal) bool { return !gap.Until().Before(s.Hour) && !gap.Time.After(s.Last) })
}

// judgeRest is about what no sum covers.
func (q *question) judgeRest(from, end buffer.ID) (Verdict, string) {
	if len(q.sums) > 0 {
		last := q.sums[0]
		gone := q.info.Gone() - last.Gone
		moved := !last.After.IsZero() && (q.info.Length == 0 || last.After.Less(q.info.First)) && !from.Less(last.After)
		why := q.unknown(last.Last)
		if replaced := q.info.Added >= 0 && gone < 0; replaced && why == "" {
			why = q.unrecorded(last.Last) // it may have been retired
		}
		if moved && why == "" {
			reason := fmt.Sprintf("the oldest entry has moved since streamkeeper trimmed last, at %s", stamp(last.Last))
			if q.info.Added >= 0 && last.Gone >= 0 && gone > 0 {
				reason += fmt.Sprintf(", and %s went since", human.Plural(gone, "entry"))
			}
			return ByOthers, reason
		}
	}
	if q.info.Added >= 0 && q.info.Gone() == 0 && q.info.Length > 0 {
		if why := q.unrecorded(from.Time()); why != "" {
			return NotKnown, "nothing has gone from it since its first entry, of " + stamp(q.info.First.Time()) + ", but whether it was retired before is not known: " + why
		}
		return Nobody, "nothing has ever gone from it: its first entry is of " + stamp(q.info.First.Time())
	}
	if why := cmp.Or(q.unknown(from.Time()), q.unrecorded(from.Time())); why != "" {
		return NotKnown, why
	}
	if q.info.Added < 0 {
		return NotByUs, "streamkeeper trimmed nothing of that time, and this version of Redis does not say what went otherwise"
	}
	for _, s := range q.sums {
		if s.Others > 0 && !s.Last.Before(end.Time()) {
			return ByOthers, fmt.Sprintf("streamkeeper trimmed nothing of that time, and in the hour from %s %s went without it", stamp(s.Hour), human.Plural(s.Others, "entry"))
		}
	}
	if len(q.sums) == 0 {
		return NotByUs, fmt.Sprintf("streamkeeper trimmed nothing since; %s have gone from it in all, so it was others, or there was nothing of that time", human.Plural(q.info.Gone(), "entry"))
	}
	return NotByUs, "streamkeeper trimmed nothing of that time"
}

// stamp is a time in a sentence.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }
