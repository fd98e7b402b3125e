package registry

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Bounds of what counts as a time.
const (
	// MinTimeMs is the smallest number of milliseconds that is taken for a time
	// (September 2001): what is smaller has another unit, or is none.
	MinTimeMs = 1_000_000_000_000
	// MaxTimeAhead is how far ahead of the server's clock a time may lie.
	MaxTimeAhead = 24 * time.Hour
)

// Fault says why the time of a session cannot be known or be true, by the
// server's clock; nil if it is plausible.
func (s *Session) Fault(now time.Time) error {
	if s.Malformed != nil || !s.Updated.After(now.Add(MaxTimeAhead)) {
		return s.Malformed
	}
	ms := s.Updated.UnixMilli()
	if unit := likelyUnit(ms); unit != "" {
		return wrongUnit(ms, unit)
	}
	return ErrFuture
}

// parseTime reads a time that is not too small to be one in milliseconds.
func parseTime(text string) (time.Time, error) {
	ms, ok := parseMillis(text)
	switch unit := likelyUnit(ms); {
	case !ok:
		return time.Time{}, ErrTimeInvalid
	case ms >= MinTimeMs:
		return time.UnixMilli(ms).UTC(), nil
	case unit != "":
		return time.Time{}, wrongUnit(ms, unit)
	}
	return time.Time{}, fmt.Errorf("%w: %d is too small", ErrTimeInvalid, ms)
}

func wrongUnit(n int64, unit string) error {
	return fmt.Errorf("%w: %d looks like %s", ErrTimeInvalid, n, unit)
}

// likelyUnit is the unit in which a number is a time of our days; "" if it is
// one in milliseconds, or in none.
func likelyUnit(n int64) string {
	// ticksAt1970 are the .NET ticks, of 100 ns since the year 1, at the epoch.
	const ticksAt1970 = 621_355_968_000_000_000
	// maxMs is in the year 2100.
	const maxMs = 4_102_444_800_000
	likely := func(ms int64) bool { return ms >= MinTimeMs && ms <= maxMs }
	switch {
	case n < maxMs/1000 && likely(n*1000):
		return "seconds"
	case n < maxMs/60_000 && likely(n*60_000):
		return "minutes"
	case likely(n / 1000):
		return "microseconds"
	case likely(n / 1_000_000):
		return "nanoseconds"
	case likely((n - ticksAt1970) / 10_000):
		return ".NET ticks"
	}
	return ""
}

// parseMillis takes a whole number, also written as a JSON number with a
// fraction or an exponent.
func parseMillis(text string) (int64, bool) {
	text = strings.TrimSpace(text)
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
		return ms, ms >= 0
	}
	if strings.ContainsAny(text, "xXpP_nN") {
		return 0, false
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f < 0 || f > 1<<62 {
		return 0, false
	}
	return int64(f), true
}
