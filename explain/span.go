package explain

import (
	"fmt"
	"strings"
	"time"
)

// Span is a time from one instant to another, which is outside it.
type Span struct{ From, To time.Time }

// SpanForms are the forms of time that [ParseSpan] reads, for messages.
const SpanForms = "14:05, 14:05:30, '2026-01-31 14:05', 2026-01-31T14:05:00Z, in UTC, or two of them joined by .."

// forms are how a time may be written, and what it then takes.
var forms = []struct {
	layout string
	takes  time.Duration
	clock  bool
}{
	{"15:04", time.Minute, true},
	{"15:04:05", time.Second, true},
	{"2006-01-02 15:04", time.Minute, false},
	{"2006-01-02T15:04", time.Minute, false},
	{time.DateTime, time.Second, false},
	{time.RFC3339, time.Second, false},
}

// ParseSpan reads a time, or two joined by two dots. A minute is a whole one. A time
// without a date is the last one before now.
func ParseSpan(text string, now time.Time) (Span, error) {
	first, last, two := strings.Cut(text, "..")
	s, clock, err := parseTime(first, now)
	if err != nil {
		return s, err
	}
	if s.From.After(now) {
		return s, fmt.Errorf("time %q is in the future: it is %s", text, stamp(now))
	}
	if !two {
		return s, nil
	}
	end, endClock, err := parseTime(last, now)
	if err != nil {
		return s, err
	}
	var why string
	switch {
	case end.From.After(now):
		why = "in the future: it is " + stamp(now)
	case !s.From.Before(end.To):
		why = fmt.Sprintf("before its start %q, %s", strings.TrimSpace(first), stamp(s.From))
	default:
		s.To = end.To
		return s, nil
	}
	if clock || endClock {
		why += "; a time without a date is the last one"
	}
	return s, fmt.Errorf("time %q: its end %q, %s, is %s", text, strings.TrimSpace(last), stamp(end.From), why)
}

// parseTime also says whether there is no date.
func parseTime(text string, now time.Time) (s Span, clock bool, err error) {
	text = strings.TrimSpace(text)
	for _, form := range forms {
		at, err := time.Parse(form.layout, text)
		if err != nil {
			continue
		}
		at = at.UTC()
		if form.clock {
			now = now.UTC()
			at = time.Date(now.Year(), now.Month(), now.Day(), at.Hour(), at.Minute(), at.Second(), 0, time.UTC)
			if at.After(now) {
				at = at.AddDate(0, 0, -1)
			}
		}
		takes := form.takes
		if at.Nanosecond() > 0 {
			takes = time.Millisecond
		}
		return Span{at, at.Add(takes)}, form.clock, nil
	}
	return Span{}, false, fmt.Errorf("time %q; allowed: %s", text, SpanForms)
}
