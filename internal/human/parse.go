package human

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ParseDuration reads what [time.ParseDuration] reads, and whole days before it:
// "90s", "1h30m", "7d", "1d12h".
func ParseDuration(text string) (time.Duration, error) {
	const day = 24 * time.Hour
	number, rest, hasDays := strings.Cut(text, "d")
	if !hasDays {
		return time.ParseDuration(text)
	}
	days, err := strconv.ParseUint(number, 10, 31)
	if err != nil || int64(days) > math.MaxInt64/int64(day) {
		return 0, fmt.Errorf("invalid duration %q", text)
	}
	if rest == "" {
		return time.Duration(days) * day, nil
	}
	// A sign belongs before the whole.
	more, err := time.ParseDuration(rest)
	if err != nil || strings.ContainsAny(rest, "+-") || more > math.MaxInt64-time.Duration(days)*day {
		return 0, fmt.Errorf("invalid duration %q", text)
	}
	return time.Duration(days)*day + more, nil
}
