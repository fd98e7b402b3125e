package jobs

import (
	"maps"
	"testing"
	"time"
)

func TestThePeriodOfAScheduleIsItsLongestPause(t *testing.T) {
	t.Parallel()
	monday := time.Date(2026, 3, 16, 9, 30, 0, 0, time.UTC)
	for spec, want := range map[string]time.Duration{
		"@every 90s":              90 * time.Second,
		"*/5 * * * *":             5 * time.Minute,
		"@daily":                  24 * time.Hour,
		"0 4 1 * *":               31 * 24 * time.Hour, // April, and on to May
		"*/30 8-18 * * *":         13*time.Hour + 30*time.Minute,
		"0 8-18 * * MON-FRI":      62 * time.Hour,
		"@yearly":                 366 * 24 * time.Hour, // 2028
		"0 0 29 2 *":              0,                    // see below
		"*/10 * * * * *":          10 * time.Second,
		"no schedule, so nothing": 0,
	} {
		got := longestPeriod(spec, monday)
		if spec == "0 0 29 2 *" {
			if got < 4*365*24*time.Hour {
				t.Errorf("%s: %s", spec, got)
			}
			continue
		}
		if got != want {
			t.Errorf("%s: %s, want %s", spec, got, want)
		}
	}
}

func TestTheMetricsSayHowOftenEachJobRuns(t *testing.T) {
	t.Parallel()
	o := Options{
		Trim:    TrimOptions{When: When{Enabled: true, Schedule: "@every 30s"}},
		Cleanup: CleanupOptions{When: When{Enabled: true, Schedule: "@daily", Given: true}},
		Inspect: InspectOptions{When: When{Schedule: "@every 5m"}},
		Metrics: MetricsOptions{When: When{Enabled: true, Schedule: "@every 15s"}},
	}
	// The only other jobs of a daemon are those that are always enabled.
	daemon := Process{}.periods(o)
	want := map[string]time.Duration{Trim: 30 * time.Second, Cleanup: 24 * time.Hour, Metrics: 15 * time.Second}
	for _, job := range All() {
		if _, given := want[job.Name]; !given && job.When(o).Enabled {
			want[job.Name] = longestPeriod(job.When(o).Schedule, time.Now())
		}
	}
	if !maps.Equal(daemon, want) {
		t.Errorf("a daemon: %v, want %v", daemon, want)
	}
	// Cron, not the default schedule, says when once is run.
	once := Process{Once: []Job{trimJob(), cleanupJob()}}.periods(o)
	if want := map[string]time.Duration{Cleanup: 24 * time.Hour}; !maps.Equal(once, want) {
		t.Errorf("once: %v, want %v", once, want)
	}
}
