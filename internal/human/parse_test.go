package human

import (
	"testing"
	"time"
)

func TestDurationsAreReadWithDays(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0": 0, "90s": 90 * time.Second, "1h30m": 90 * time.Minute, "-1h": -time.Hour, "1d": 24 * time.Hour, "7d": 168 * time.Hour,
		"1d12h": 36 * time.Hour, "0d": 0, "2d0.5s": 48*time.Hour + time.Second/2, "106751d": 106751 * 24 * time.Hour,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%q: got %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "1.5d", "-1d", "+1d", "1d-1h", "1d+1h", "1d 1h", "1h1d", "1dd", "1D", "106752d", "106751d24h", "99999999999999999999d", "7 d"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q: got %s, want an error", text, got)
		}
	}
}

// FuzzParseDuration checks that days are a shorthand for hours and nothing else.
func FuzzParseDuration(f *testing.F) {
	for _, seed := range []string{"1d", "7d12h", "0", "1h", "-1h", "d", "1d1d", "106751d23h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseDuration(text)
		plain, plainErr := time.ParseDuration(text)
		if plainErr == nil && (err != nil || got != plain) {
			t.Errorf("%q is %s, and was read as %s, %v", text, plain, got, err)
		}
		if err == nil && plainErr != nil && got < 0 {
			t.Errorf("%q is negative: %s", text, got)
		}
		if err == nil {
			if again, err := ParseDuration(got.String()); err != nil || again != got {
				t.Errorf("%q is %s, and read again %s, %v", text, got, again, err)
			}
		}
	})
}
