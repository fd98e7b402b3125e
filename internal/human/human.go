// Package human writes durations, counts and sizes as people read them.
package human

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration writes the two largest units that matter: "26h 3m", "1m 30s",
// "250ms". Up to two days are told in hours, as limits are.
func Duration(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + Duration(-d)
	case d == 0:
		return "0s"
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	}
	seconds := int64(d.Round(time.Second) / time.Second)
	var parts []string
	for _, u := range []struct {
		seconds int64
		name    string
	}{{86400, "d"}, {3600, "h"}, {60, "m"}, {1, "s"}} {
		if u.name == "d" && seconds < 2*u.seconds {
			continue
		}
		n := seconds / u.seconds
		seconds -= n * u.seconds
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d%s", n, u.name))
		}
		if len(parts) == 2 || len(parts) == 1 && n == 0 {
			break
		}
	}
	return strings.Join(parts, " ")
}

// Count writes a whole number with a space between groups of three digits.
func Count[T ~int | ~int64](n T) string {
	digits := strconv.FormatInt(int64(n), 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + " " + digits[i:]
	}
	return sign + digits
}

// Bytes writes a size in binary units with three digits: "64.0 KiB".
func Bytes(n int64) string {
	const units = "KMGTPE"
	if n < 1024 && n > -1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	value, unit := float64(n)/1024, 0
	for (value >= 1024 || value <= -1024) && unit < len(units)-1 {
		value /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", value, units[unit])
}

// Sentence ends a text as a sentence ends, unless it does so already.
func Sentence(text string) string {
	if strings.HasSuffix(text, ".") || strings.HasSuffix(text, "?") || strings.HasSuffix(text, "!") {
		return text
	}
	return text + "."
}

// Plural writes a number with a noun: "3 sessions", "1 entry", "2 entries", "2 keys".
func Plural[T ~int | ~int64](n T, noun string) string {
	if n != 1 {
		if base, ok := strings.CutSuffix(noun, "y"); ok && base != "" && !strings.ContainsAny(base[len(base)-1:], "aeiou") {
			noun = base + "ies"
		} else {
			noun += "s"
		}
	}
	return Count(n) + " " + noun
}
