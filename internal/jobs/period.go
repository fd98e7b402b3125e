package jobs

import (
	"time"

	"github.com/streamkeeper/streamkeeper/schedule"
)

// How far a schedule is followed to find its longest pause: over a month and a
// bit, or over so many runs.
const (
	followedFor  = 40 * 24 * time.Hour
	followedRuns = 20_000
)

// longestPeriod is the longest time between two runs of a schedule that is known
// to be right: what runs by the minute in working hours pauses every night.
func longestPeriod(spec string, now time.Time) time.Duration {
	s, err := schedule.ParseSchedule(spec)
	if err != nil {
		return 0
	}
	longest := time.Duration(0)
	at := s.Next(now.UTC())
	for n := 0; n < followedRuns && (n < 2 || at.Sub(now) < followedFor); n++ {
		next := s.Next(at)
		if next.IsZero() || next.Sub(at) == longest && schedule.IsInterval(s) {
			break
		}
		longest, at = max(longest, next.Sub(at)), next
	}
	return longest
}
