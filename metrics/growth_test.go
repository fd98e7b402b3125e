package metrics

import (
	"math"
	"testing"
	"time"
)

func TestMemoryGrowsAsTheReadingsOfTheLastHourSay(t *testing.T) {
	const minute = 60
	for _, c := range []struct {
		name string
		// used is what is read at a second, each so many seconds for so long.
		used            func(second int) int64
		every, lastingS int
		want            Growth
		full            time.Duration // where 10 000 is the limit; negative for never
	}{
		{"nothing is known at first", func(int) int64 { return 5000 }, 30, 9 * minute, Growth{}, -1},
		{"it does not grow", func(int) int64 { return 5000 }, 30, 60 * minute, Growth{Over: time.Hour, Used: 5000}, -1},
		{"a byte a second", func(s int) int64 { return int64(s) }, 30, 60 * minute, Growth{Over: time.Hour, PerSecond: 1, Used: 3600}, 6400 * time.Second},
		{"read each second, known after ten minutes", func(s int) int64 { return int64(s) }, 1, 10 * minute, Growth{Over: 10 * time.Minute, PerSecond: 1, Used: 600}, 9400 * time.Second},
		{"what grew before the last hour does not count", func(s int) int64 { return min(int64(s), 3600) }, 30, 180 * minute, Growth{Over: time.Hour, Used: 3600}, -1},
		{"it shrinks", func(s int) int64 { return 9000 - int64(s) }, 60, 60 * minute, Growth{Over: time.Hour, PerSecond: -1, Used: 5400}, -1},
		{"full already", func(s int) int64 { return 9000 + int64(s) }, 60, 60 * minute, Growth{Over: time.Hour, PerSecond: 1, Used: 12600}, 0},
		{"saw teeth", func(s int) int64 { return int64(s) + 100*int64(s/minute%2) }, 30, 60 * minute, Growth{Over: time.Hour, PerSecond: 1, Used: 3650}, 6350 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m memoryReadings
			for s := 0; s <= c.lastingS; s += c.every {
				m.add(testNow.Add(time.Duration(s)*time.Second), c.used(s))
			}
			if len(m) > 62 {
				t.Errorf("%d readings are kept", len(m))
			}
			got := m.growth()
			if got.Over != c.want.Over || math.Abs(got.PerSecond-c.want.PerSecond) > 0.02 || math.Abs(got.Used-c.want.Used) > 60 {
				t.Errorf("%+v, want %+v", got, c.want)
			}
			full, ever := got.Reaches(10_000)
			if ever != (c.full >= 0) || ever && (full-c.full).Abs() > 5*time.Minute {
				t.Errorf("full in %v (%v), want %v", full, ever, c.full)
			}
			if _, ever := got.Reaches(0); ever {
				t.Error("full without a limit")
			}
		})
	}
}

func TestAClockThatIsSetBackBeginsAnew(t *testing.T) {
	var m memoryReadings
	for i := range 20 {
		m.add(testNow.Add(time.Duration(i)*time.Minute), int64(i))
	}
	m.add(testNow, 7)
	if g := m.growth(); len(m) != 1 || g != (Growth{}) {
		t.Errorf("%d readings, growth %+v", len(m), g)
	}
}

func TestOnlyALeaderKnowsHowMemoryGrows(t *testing.T) {
	now := testNow
	m := New(Options{Now: func() time.Time { return now }})
	read := func() {
		for range 15 {
			now = now.Add(time.Minute)
			m.RedisMemory(now.Unix(), 1<<40)
		}
	}
	read()
	if g := m.MemoryGrowth(); g != (Growth{}) {
		t.Errorf("a follower knows %+v", g)
	}
	m.Leader(true)
	read()
	m.RedisMemory(0, 0) // it could not be asked
	if g := m.MemoryGrowth(); math.Abs(g.PerSecond-1) > 0.01 {
		t.Errorf("a leader knows %+v", g)
	}
	m.Leader(false)
	m.Leader(true)
	if g := m.MemoryGrowth(); g != (Growth{}) {
		t.Errorf("a new leader knows %+v", g)
	}
}
