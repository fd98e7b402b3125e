package human

import (
	"testing"
	"time"
)

func TestDurationsAreToldInTheirTwoLargestUnits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                                        "0s",
		250 * time.Microsecond:                   "250µs",
		1500 * time.Microsecond:                  "2ms",
		999 * time.Millisecond:                   "999ms",
		90 * time.Second:                         "1m 30s",
		time.Hour:                                "1h",
		time.Hour + 30*time.Second:               "1h",
		26*time.Hour + 3*time.Minute:             "26h 3m",
		47*time.Hour + 59*time.Minute:            "47h 59m",
		72 * time.Hour:                           "3d",
		74*time.Hour + 59*time.Minute:            "3d 2h",
		-5 * time.Second:                         "-5s",
		59*time.Second + 999*time.Millisecond:    "1m",
		24*365*time.Hour + 3*time.Hour:           "365d 3h",
		24*time.Hour - 400*time.Millisecond:      "24h",
		2*time.Minute + 100*time.Millisecond:     "2m",
		48*time.Hour + 29*time.Minute:            "2d",
		time.Minute - time.Nanosecond:            "1m",
		time.Second - 400*time.Microsecond:       "1s",
		10*time.Hour + 59*time.Minute + 59*1e9*1: "10h 59m",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%v is told as %q, want %q", d, got, want)
		}
	}
}

func TestCountsAreGroupedByThree(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1 000", 1234567: "1 234 567", -4321: "-4 321"} {
		if got := Count(n); got != want {
			t.Errorf("%d is written %q, want %q", n, got, want)
		}
	}
}

func TestBytesAreWrittenInBinaryUnits(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 64 << 10: "64.0 KiB", 3 << 29: "1.5 GiB", -2048: "-2.0 KiB", 1 << 62: "4.0 EiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("%d is written %q, want %q", n, got, want)
		}
	}
}

func TestPluralsAreThoseOfEnglish(t *testing.T) {
	for want, got := range map[string]string{
		"1 entry": Plural(1, "entry"), "2 entries": Plural(2, "entry"), "0 entries": Plural(0, "entry"),
		"1 key": Plural(1, "key"), "2 keys": Plural(2, "key"), "1 000 sessions": Plural(1000, "session"),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
