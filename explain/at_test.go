package explain

import (
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/history"
)

// now is in the 13th hour of the day; at is a minute of today.
var now = time.Date(2026, 1, 31, 12, 30, 0, 0, time.UTC)

func clock(text string) time.Time {
	at, err := time.Parse("15:04", text)
	if err != nil {
		panic(err)
	}
	return time.Date(2026, 1, 31, at.Hour(), at.Minute(), 0, 0, time.UTC)
}

func id(text string) buffer.ID {
	if text == "" {
		return buffer.ID{}
	}
	return buffer.TimeID(clock(text))
}

// sumOf is of the hour of last.
func sumOf(before, after, last string, others, gone int64) buffer.TrimSum {
	at := clock(last)
	return buffer.TrimSum{
		Hour: at.Truncate(time.Hour), Before: id(before), After: id(after), Last: at, Entries: 100, Others: others, Gone: gone,
		Reasons: []string{"length"}, Instance: "pod/1",
	}
}

// streamOf has a first and a last entry, and has lost so many.
func streamOf(first, last string, gone int64) buffer.StreamInfo {
	info := buffer.StreamInfo{Type: "stream", First: id(first), LastID: id(last), Newest: id(last), Length: 50, Added: 50 + gone}
	if first == "" {
		info.Length, info.Newest, info.Added = 0, buffer.ID{}, gone
	}
	return info
}

func TestWhatBecameOfTheDataOfATime(t *testing.T) {
	t.Parallel()
	yesterday := clock("00:00").AddDate(0, 0, -1)
	good := Record{Since: yesterday, RemovalsSince: yesterday, Hours: []buffer.TrimHour{{Hour: clock("12:00"), Streams: 5}}}
	retired := buffer.Removal{Time: clock("11:00"), Action: "retire", Reason: "no session", Instance: "pod/2"}
	noted := buffer.RetiredNote{At: clock("11:00")}
	restored := buffer.RetiredNote{At: clock("11:40"), Restored: true}
	off := &Record{Off: true}
	old := streamOf("10:00", "12:00", 200)
	old.Added = -1
	deleted := streamOf("10:00", "12:29", 200)
	deleted.Deleted = buffer.TimeID(clock("11:00"))
	counters := streamOf("10:00", "12:00", 0)
	counters.LastID = buffer.ID{Ms: 77}
	for name, c := range map[string]struct {
		at       string
		info     buffer.StreamInfo
		there    int64
		sums     []buffer.TrimSum
		removals []buffer.Removal
		retired  buffer.RetiredNote
		record   *Record
		want     Verdict
		says     string
	}{
		"it is there": {
			at: "11:00", info: streamOf("10:00", "12:29", 200), there: 7, want: Nobody, says: "it holds 7 entries of that time",
		},
		"it is there, and others deleted later entries": {
			at: "10:30", info: deleted, there: 1, want: Nobody, says: "it holds 1 entry of that time, and its oldest entry, of 2026-01-31 10:00:00, is not younger; others have",
		},
		"there was none":                             {at: "11:00", info: streamOf("10:00", "12:29", 200), want: Nobody, says: "was ever there"},
		"it was deleted by itself":                   {at: "11:00", info: deleted, want: ByOthers, says: "(XDEL)"},
		"none is there, and later ones were deleted": {at: "10:30", info: deleted, want: NotByUs, says: "others have deleted"},
		"none is there, before 7.0":                  {at: "11:00", info: old, want: NotByUs, says: "is not younger"},
		"nothing came since":                         {at: "12:10", info: streamOf("10:00", "12:00", 0), want: Nobody, says: "nothing was appended"},
		"nothing has ever gone":                      {at: "09:00", info: streamOf("10:00", "12:29", 0), want: Nobody, says: "nothing has ever gone"},
		"ids are no times":                           {at: "11:00", info: counters, want: NotKnown, says: "no times"},
		"we trimmed it": {
			at: "09:30", info: streamOf("10:00", "12:29", 200), sums: []buffer.TrimSum{sumOf("09:00", "10:00", "11:20", 0, 200), sumOf("08:00", "09:00", "10:10", 0, 100)},
			want: ByUs, says: "trimmed between 2026-01-31 11:00:00 and 2026-01-31 11:20:00 by length, by pod/1: 100 entries in that hour",
		},
		"we trimmed it, or others": {
			at: "09:30", info: streamOf("10:00", "12:29", 205), sums: []buffer.TrimSum{sumOf("09:00", "10:00", "11:20", 5, 205)}, want: ByEither, says: "and 5 more went without",
		},
		"we trimmed it, before 7.0": {
			at: "09:30", info: old, sums: []buffer.TrimSum{sumOf("09:00", "10:00", "11:20", -1, -1)}, want: ByUs,
		},
		"we trimmed all there was, from the beginning": {
			at: "09:30", info: streamOf("10:00", "12:29", 100), sums: []buffer.TrimSum{sumOf("", "10:00", "11:20", 0, 100)}, want: ByUs, says: "whether anything of that time was there is not known",
		},
		"we emptied it": {
			at: "09:30", info: streamOf("", "10:00", 100), sums: []buffer.TrimSum{sumOf("", "", "11:20", 0, 100)}, want: ByUs,
		},
		"how far back the first trim reached is not known": {
			at: "09:30", info: streamOf("10:00", "12:29", 500), sums: []buffer.TrimSum{sumOf("", "10:00", "11:20", -1, 500)}, want: NotKnown, says: "how far back",
		},
		"we trimmed a part of it": {
			at: "09:30..10:29", info: streamOf("10:30", "12:29", 300), sums: []buffer.TrimSum{sumOf("09:00", "10:00", "11:20", 0, 200)},
			want: ByUs, says: "of what came from 2026-01-31 10:00:00 on: the oldest entry has moved since streamkeeper trimmed last, at 2026-01-31 11:20:00, and 100 entries went since",
		},
		"we trimmed the beginning of it": {
			at: "09:30..10:29", info: streamOf("10:00", "12:29", 200), there: 4, sums: []buffer.TrimSum{sumOf("09:00", "10:00", "11:20", 0, 200)},
			want: ByUs, says: "it holds 4 entries of that time, from 2026-01-31 10:00:00 on; of what is older: trimmed between",
		},
		"others have trimmed since": {
			at: "10:10", info: streamOf("10:30", "12:29", 300), sums: []buffer.TrimSum{sumOf("09:00", "10:00", "11:20", 0, 200)}, want: ByOthers, says: "100 entries went since",
		},
		"others have trimmed since, before 7.0": {
			at: "09:30", info: old, sums: []buffer.TrimSum{sumOf("08:00", "09:10", "11:20", -1, -1)}, want: ByOthers, says: "the oldest entry has moved",
		},
		"others have trimmed since, in the first hour of the record": {
			at: "10:10", info: streamOf("10:30", "12:29", 300), sums: []buffer.TrimSum{sumOf("09:00", "10:00", "12:20", 0, 200)}, record: &Record{Since: now}, want: ByOthers,
		},
		"others have trimmed in the hour in which we did": {
			at: "08:30", info: streamOf("10:00", "12:29", 230), sums: []buffer.TrimSum{sumOf("09:00", "10:00", "11:20", 30, 230)}, want: ByOthers, says: "30 entries went without it",
		},
		"we trimmed nothing":             {at: "09:30", info: streamOf("10:00", "12:29", 300), want: NotByUs, says: "300 entries have gone from it in all"},
		"we trimmed nothing, before 7.0": {at: "09:30", info: old, want: NotByUs, says: "does not say"},
		"we retired it": {
			at: "10:30", info: buffer.StreamInfo{Type: "none"}, removals: []buffer.Removal{retired}, want: ByUs, says: "retired at 2026-01-31 11:00:00 by pod/2: no session",
		},
		"we retired it before, and it came back": {
			at: "11:30", info: streamOf("11:20", "12:29", 0), there: 3, removals: []buffer.Removal{retired}, want: Nobody,
		},
		"others have removed it":     {at: "10:30", info: buffer.StreamInfo{Type: "none"}, want: ByOthers, says: "did not retire it"},
		"others have overwritten it": {at: "10:30", info: buffer.StreamInfo{Type: "string"}, want: ByOthers, says: "its key is a string now"},
		"nothing is recorded":        {at: "09:30", info: streamOf("10:00", "12:29", 300), record: &Record{Off: true}, want: NotKnown, says: "HISTORY_LENGTH"},
		"the record cannot be read":  {at: "09:30", info: streamOf("10:00", "12:29", 300), record: &Record{Trouble: "x"}, want: NotKnown, says: "cannot be read: x"},
		"there is no record":         {at: "09:30", info: streamOf("10:00", "12:29", 300), record: &Record{}, want: NotKnown, says: "no record yet"},
		"before the record":          {at: "09:30", info: streamOf("10:00", "12:29", 300), record: &Record{Since: clock("09:45")}, want: NotKnown, says: "before 2026-01-31 09:45:00"},
		"too long ago":               {at: "2026-01-20 09:30", info: streamOf("10:00", "12:29", 300), want: NotKnown, says: "goes back to 2026-01-29 13:00:00"},
		"a gap": {
			at: "09:30", info: streamOf("10:00", "12:29", 300), record: &Record{Since: good.Since, Gaps: []buffer.Removal{{Time: clock("11:00"), Reason: "no memory"}}},
			want: NotKnown, says: "a gap at 2026-01-31 11:00:00: no memory",
		},
		"a gap before it": {
			at: "09:30", info: streamOf("10:00", "12:29", 300), record: &Record{Since: good.Since, Gaps: []buffer.Removal{{Time: clock("09:00")}}}, want: NotByUs,
		},
		"the note tells that we retired it": {
			at: "10:30", info: streamOf("11:20", "12:29", 0), retired: noted, record: off, want: ByUs, says: "retired at 2026-01-31 11:00:00; by which instance",
		},
		"the note tells it of a stream that was trimmed since": {
			at: "10:30", info: streamOf("11:20", "12:29", 50), retired: noted, record: off, want: ByUs, says: "by which instance",
		},
		"the note tells it of a stream that is gone": {at: "10:30", info: buffer.StreamInfo{Type: "none"}, retired: noted, record: off, want: ByUs},
		"its name was taken out": {
			at: "10:30", info: streamOf("11:20", "12:29", 0), retired: buffer.RetiredNote{At: noted.At, Dropped: true}, record: off, want: NotKnown, says: "HISTORY_LENGTH",
		},
		"it was retired before, and nobody knows whether again": {
			at: "11:30", info: streamOf("12:00", "12:29", 0), retired: noted, record: off, want: NotKnown, says: "but whether it was retired before is not known: nothing is recorded",
		},
		"it was restored": {
			at: "10:30", info: streamOf("11:20", "12:29", 0), retired: restored, record: off, want: ByUs, says: "before its first entry came, at 2026-01-31 11:20:00",
		},
		"it was restored, and the data came since":     {at: "11:30", info: streamOf("11:20", "12:29", 0), there: 3, retired: restored, record: off, want: Nobody},
		"it was restored, and others have trimmed":     {at: "10:30", info: streamOf("11:20", "12:29", 5), retired: restored, record: off, want: NotKnown, says: "may have been retired"},
		"a retirement that was broken off":             {at: "09:30", info: streamOf("10:00", "10:10", 0), retired: noted, record: off, want: NotKnown, says: "may have been retired"},
		"one that was broken off, and is not recorded": {at: "09:30", info: streamOf("10:00", "10:10", 0), retired: noted, want: Nobody, says: "nothing has ever gone"},
		"nothing has gone, and nothing is recorded":    {at: "09:30", info: streamOf("10:00", "12:29", 0), record: off, want: NotKnown, says: "nothing has gone from it since"},
		"nothing has gone, and the history is younger": {
			at: "09:30", info: streamOf("10:00", "12:29", 0), record: &Record{Since: yesterday, RemovalsSince: clock("12:00")}, want: NotKnown, says: "history held before 2026-01-31 12:00:00",
		},
		"nothing has gone, and there is a gap": {
			at: "09:30", info: streamOf("10:00", "12:29", 0), record: &Record{Since: yesterday, Gaps: []buffer.Removal{{Time: clock("11:00"), Reason: "full"}}}, want: NotKnown, says: "a gap",
		},
		"nothing has gone, and trims have a gap": {
			at: "09:30", info: streamOf("10:00", "12:29", 0), record: &Record{Since: yesterday, Gaps: []buffer.Removal{{Time: clock("11:00"), Reason: history.OfTrims + "x"}}}, want: Nobody,
		},
		"what we trimmed was before it was retired": {
			at: "11:10", info: streamOf("11:20", "12:29", 0), sums: []buffer.TrimSum{sumOf("09:00", "10:00", "10:50", 0, 200)}, removals: []buffer.Removal{retired}, want: Nobody, says: "nothing has ever gone",
		},
		"we trimmed it, and its key is gone": {
			at: "09:30", info: buffer.StreamInfo{Type: "none"}, sums: []buffer.TrimSum{sumOf("09:00", "10:00", "11:20", 0, 200)}, want: ByEither, says: "later the rest went: there is no key",
		},
		"it was replaced, and the history is younger": {
			at: "10:30", info: streamOf("11:20", "12:29", 0), sums: []buffer.TrimSum{sumOf("09:00", "10:00", "10:50", 0, 200)},
			record: &Record{Since: yesterday, RemovalsSince: clock("12:00")}, want: NotKnown, says: "whether it was retired before",
		},
		"we trimmed it in an hour with a gap": {
			at: "09:30", info: streamOf("10:00", "12:29", 205), sums: []buffer.TrimSum{sumOf("09:00", "10:00", "11:20", -1, 205)},
			record: &Record{Since: good.Since, Gaps: []buffer.Removal{{Time: clock("11:10")}}}, want: ByEither, says: "in that hour is not known, as the record has a gap",
		},
		"we trimmed it in an hour after a gap": {
			at: "09:30", info: streamOf("10:00", "12:29", 205), sums: []buffer.TrimSum{sumOf("09:00", "10:00", "11:20", -1, 205)},
			record: &Record{Since: good.Since, Gaps: []buffer.Removal{{Time: clock("10:50")}}}, want: ByUs,
		},
		"a run was cut off": {
			at: "09:30", info: streamOf("10:00", "12:29", 300), record: &Record{Since: good.Since, Gaps: []buffer.Removal{{Time: clock("09:29"), Run: "x", Reason: "cut off"}}},
			want: NotKnown, says: "a gap at 2026-01-31 09:29:00: cut off",
		},
		"more streams were trimmed than are recorded": {
			at: "09:30", info: streamOf("10:00", "12:29", 300),
			record: &Record{Since: good.Since, Hours: []buffer.TrimHour{{Hour: clock("11:00"), Streams: buffer.MaxTrimSums}}}, want: NotKnown, says: "in the hour from 2026-01-31 11:00:00 more streams",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			span, err := ParseSpan(c.at, now)
			if err != nil {
				t.Fatal(err)
			}
			record := good
			if c.record != nil {
				record = *c.record
				if record.RemovalsSince.IsZero() {
					record.RemovalsSince = record.Since
				}
			}
			at := At{Span: span, Entries: c.there}
			q := question{span, c.info, c.sums, c.removals, c.retired, record, now}
			if q.judge(&at); at.Verdict != c.want || !strings.Contains(at.Reason, c.says) || at.Reason == "" {
				t.Errorf("%s: %s\nwant %s: %s", at.Verdict, at.Reason, c.want, c.says)
			}
			if (at.Verdict == ByUs || at.Verdict == ByEither) != (len(at.Trims) > 0 || at.Retired != nil) && c.want != NotKnown && !c.retired.Restored {
				t.Errorf("%s, and %d trims", at.Verdict, len(at.Trims))
			}
		})
	}
}

func TestATimeIsReadAsAMinuteASecondOrASpan(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"12:05":                                "2026-01-31 12:05:00 +1m0s",
		"12:31":                                "2026-01-30 12:31:00 +1m0s",
		"23:50..00:10":                         "2026-01-30 23:50:00 +21m0s",
		"12:20..12:30":                         "2026-01-31 12:20:00 +11m0s",
		"12:40..12:20":                         "2026-01-30 12:40:00 +23h41m0s",
		"12:05..12:05":                         "2026-01-31 12:05:00 +1m0s",
		"12:20..12:40":                         `time "12:20..12:40": its end "12:40", 2026-01-30 12:40:00, is before its start "12:20", 2026-01-31 12:20:00; a time without a date is the last one`,
		"12:40..12:35":                         `its end "12:35", 2026-01-30 12:35:00, is before its start "12:40", 2026-01-30 12:40:00; a time`,
		"2026-01-31 12:20 .. 2026-01-31 12:40": `its end "2026-01-31 12:40", 2026-01-31 12:40:00, is in the future: it is 2026-01-31 12:30:00`,
		"2026-01-31 12:20..2026-01-31 12:10":   `its end "2026-01-31 12:10", 2026-01-31 12:10:00, is before its start "2026-01-31 12:20", 2026-01-31 12:20:00`,
		"12:05:30":                             "2026-01-31 12:05:30 +1s",
		"2026-01-20 09:30":                     "2026-01-20 09:30:00 +1m0s",
		"2026-01-20T09:30:05+02:00":            "2026-01-20 07:30:05 +1s",
		"2026-01-20T09:30:05.25Z":              "2026-01-20 09:30:05 +1ms",
		"2026-01-20 09:30 .. 2026-01-20 10:30": "2026-01-20 09:30:00 +1h1m0s",
		"2027-01-01 00:00":                     "is in the future: it is 2026-01-31 12:30:00",
		"2027-01-01 00:00..2027-01-01 00:10":   "is in the future",
		"12:10..12:05":                         "before its start",
		"noon":                                 "allowed",
		"..":                                   "allowed",
	} {
		s, err := ParseSpan(text, now)
		got := s.From.Format(time.DateTime) + " +" + s.To.Sub(s.From).String()
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func FuzzASpanHasALength(f *testing.F) {
	f.Add("12:05..12:10")
	f.Add("2026-01-20T09:30:05.25Z")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := ParseSpan(text, now); err == nil && (!s.From.Before(s.To) || s.From.After(now) || s.To.After(now.Add(time.Minute))) {
			t.Errorf("%q: %v", text, s)
		}
	})
}
