package doctor

import (
	"fmt"
	"strconv"
)

// Bounds of a time in nanoseconds that a session may have: from 1980 to 2200.
const (
	minDataTime = 315_532_800_000_000_000
	maxDataTime = 7_258_118_400_000_000_000
)

// sessionRange asks whether the time range of an entry is one.
func sessionRange() Check {
	return Check{
		ID: "session-range", Group: Sessions,
		Rule:   "tStart and tEnd come as a pair: the earliest and the latest time of the data, in nanoseconds since 1970.",
		Source: fromStreaming,
		Remedy: "Write both with each time range that is streamed: milliseconds × 1 000 000, .NET ticks since 1970 × 100. Leave both out while there is no data; NaN is no time.",
		Noun:   "session", Found: "whose tStart and tEnd are no time range in nanoseconds", Good: "time ranges are in nanoseconds",
		session: func(s *Session, o *outcome) {
			if fault := rangeFault(s); fault != "" && !s.unreadable() {
				o.found(Error, s.Identity, fault)
			}
		},
	}
}

// rangeFault says what is wrong with tStart and tEnd, "" if nothing is.
func rangeFault(s *Session) string {
	start, end := s.TimeRange()
	switch {
	case !start.Set && !end.Set:
		return ""
	case !start.Set:
		return "tEnd without tStart"
	case !end.Set:
		return "tStart without tEnd"
	}
	from, errStart := strconv.ParseInt(start.Value, 10, 64)
	to, errEnd := strconv.ParseInt(end.Value, 10, 64)
	switch {
	case errStart != nil:
		return fmt.Sprintf("tStart %s is no whole number", quote(start.Value))
	case errEnd != nil:
		return fmt.Sprintf("tEnd %s is no whole number", quote(end.Value))
	case !isDataTime(from):
		return fmt.Sprintf("tStart %d is no time in nanoseconds%s", from, dataUnit(from))
	case !isDataTime(to):
		return fmt.Sprintf("tEnd %d is no time in nanoseconds%s", to, dataUnit(to))
	case to < from:
		return fmt.Sprintf("tEnd %d is before tStart %d", to, from)
	}
	return ""
}

func isDataTime(ns int64) bool { return ns >= minDataTime && ns <= maxDataTime }

// dataUnit guesses the unit of a number that is no time in nanoseconds.
func dataUnit(n int64) string {
	const ticksAt1970 = 621_355_968_000_000_000
	for _, unit := range []struct {
		name  string
		scale int64
	}{{"seconds", 1_000_000_000}, {"milliseconds", 1_000_000}, {"microseconds", 1000}} {
		if n > 0 && n <= maxDataTime/unit.scale && isDataTime(n*unit.scale) {
			return ": it looks like " + unit.name
		}
	}
	if since := n - ticksAt1970; since > 0 && since <= maxDataTime/100 && isDataTime(since*100) {
		return ": it looks like .NET ticks"
	}
	return ""
}
