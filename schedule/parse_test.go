package schedule

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestParseScheduleFindsTheNextTimeInUTC(t *testing.T) {
	from := time.Date(2026, 3, 28, 23, 59, 30, 500_000_000, time.FixedZone("east", 2*60*60)) // 21:59:30.5 UTC
	tests := []struct{ name, spec, want string }{
		{"five fields mean second 0", "*/5 * * * *", "2026-03-28T22:00:00Z"},
		{"six fields start with seconds", "45 * * * * *", "2026-03-28T21:59:45Z"},
		{"hours are hours of UTC", "30 22 * * *", "2026-03-28T22:30:00Z"},
		{"names of days are known", "0 12 * * mon", "2026-03-30T12:00:00Z"},
		{"descriptors are known", "@daily", "2026-03-29T00:00:00Z"},
		{"an interval counts from where it stands", "@every 90s", "2026-03-28T22:01:00.5Z"},
		{"an interval keeps its fractions", "@every 1500ms", "2026-03-28T21:59:32Z"},
		{"a second is the shortest interval", "@every 1s", "2026-03-28T21:59:31.5Z"},
		{"space around it does not matter", "  @every   1m ", "2026-03-28T22:00:30.5Z"},
		{"the hour that daylight saving skips elsewhere is there", "30 2 29 3 *", "2026-03-29T02:30:00Z"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := ParseSchedule(tt.spec)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Next(from).UTC().Format(time.RFC3339Nano); got != tt.want {
				t.Errorf("next = %s, want %s", got, tt.want)
			}
		})
	}
}

func TestParseScheduleSaysWhatIsWrongAndWhatIsAllowed(t *testing.T) {
	tests := []struct{ name, spec, want string }{
		{"empty", "", "empty spec"},
		{"a word", "often", "expected 5 to 6 fields"},
		{"four fields", "* * * *", "expected 5 to 6 fields"},
		{"seven fields", "* * * * * * *", "expected 5 to 6 fields"},
		{"minute 60", "60 * * * *", "above maximum (59)"},
		{"a field of commas, which would be searched for minutes", ", * * * * *", "no value"},
		{"the 30th of February", "0 0 30 2 *", "does not come"},
		{"an unknown descriptor", "@often", "unrecognized descriptor"},
		{"an interval without unit", "@every 30", "missing unit"},
		{"an interval that is no duration", "@every day", "invalid duration"},
		{"an interval under a second", "@every 999ms", "999ms is shorter than a second"},
		{"no time between runs", "@every 0s", "shorter than a second"},
		{"a negative interval", "@every -5m", "shorter than a second"},
		{"a time zone", "CRON_TZ=Europe/Berlin 0 3 * * *", "schedules are in UTC"},
		{"a time zone and nothing else, which makes the parser panic", "TZ=UTC", "schedules are in UTC"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseSchedule(tt.spec)
			if err == nil {
				t.Fatal("accepted")
			}
			if msg := err.Error(); !strings.Contains(msg, tt.want) || !strings.HasSuffix(msg, Syntax) {
				t.Errorf("error %q does not say %q and what is allowed", msg, tt.want)
			}
		})
	}
}

func FuzzParseSchedule(f *testing.F) {
	for _, spec := range []string{"*/5 * * * *", "1-5/2,7 * * jan-mar sun *", "@every 1h30m", "@daily", "TZ=", "CRON_TZ=UTC * * * * *", ",,, * * * *", "0 0 29 2 *"} {
		f.Add(spec)
	}
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, spec string) {
		s, err := ParseSchedule(spec)
		if err != nil {
			return
		}
		if next := s.Next(from); !next.After(from) && !next.IsZero() {
			t.Errorf("%q: next time %s is not after %s", spec, next, from)
		}
	})
}

func ExampleParseSchedule() {
	schedule, err := ParseSchedule("30 3 * * *")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(schedule.Next(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)))
	// Output: 2026-05-02 03:30:00 +0000 UTC
}
