package redisconn

import (
	"testing"
	"time"
)

func TestAPagerFindsHowManyEntriesFit(t *testing.T) {
	const (
		stall  = time.Millisecond
		quick  = 300 * time.Microsecond
		middle = 900 * time.Microsecond
		slow   = 3 * time.Millisecond
	)
	for _, tt := range []struct {
		name  string
		took  []time.Duration
		bytes int // of an entry
		want  int
	}{
		{"before anything is known", nil, 0, 20},
		{"quick pages grow to the most", []time.Duration{quick, quick, quick, quick, quick}, 100, 200},
		{"pages that take most of a stall stay", []time.Duration{quick, middle, middle, middle}, 100, 40},
		{"slow pages in a row halve", []time.Duration{quick, quick, quick, quick, slow, slow, slow}, 100, 100},
		{"single slow pages do not", []time.Duration{quick, quick, quick, quick, slow, slow, quick, slow, slow}, 100, 200},
		{"slow pages never end up empty", append([]time.Duration{quick}, repeat(slow, 60)...), 100, leastPage},
		{"a long way is not Redis's time", append([]time.Duration{20 * time.Millisecond}, repeat(20*time.Millisecond+quick, 4)...), 100, 200},
		{"big entries make small pages", []time.Duration{quick, quick}, 64 << 10, 8},
		{"a huge entry comes alone", []time.Duration{quick, quick}, 1 << 20, 1},
		{"an empty page says nothing of bytes", []time.Duration{quick, quick}, 0, 80},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := NewPager(stall, 200)
			for _, took := range tt.took {
				entries := p.count
				if tt.bytes == 0 {
					entries = 0
				}
				p.Took(took, entries, entries*tt.bytes)
			}
			if p.count != tt.want {
				t.Errorf("%d entries, want %d", p.count, tt.want)
			}
		})
	}
}

func repeat(d time.Duration, n int) []time.Duration {
	all := make([]time.Duration, n)
	for i := range all {
		all[i] = d
	}
	return all
}
