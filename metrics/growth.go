package metrics

import (
	"time"
)

// Growth of Redis's memory is judged as the alert StreamkeeperRedisMemoryFilling
// does it: by a straight line through the readings of the last hour.
const (
	growthOver = time.Hour
	// leastGrowthOver is the shortest time that says anything of a growth.
	leastGrowthOver = 10 * time.Minute
	growthStep      = time.Minute
)

// Growth is how Redis's memory grows.
type Growth struct {
	// Over is the time that it was judged by, 0 where that is too short.
	Over time.Duration
	// PerSecond is in bytes.
	PerSecond float64
	// Used is where the line through the readings is now, in bytes.
	Used float64
}

// Reaches says how soon the memory comes to so many bytes; false where it does not
// grow, or nothing is known.
func (g Growth) Reaches(limit int64) (time.Duration, bool) {
	if g.Over == 0 || limit <= 0 || g.PerSecond <= 0 {
		return 0, false
	}
	const longest = 100 * 365 * 24 * time.Hour
	seconds := max(0, (float64(limit)-g.Used)/g.PerSecond)
	if seconds > longest.Seconds() {
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}

// memoryReadings are what Redis used within the last hour, one reading a minute and
// the last one.
type memoryReadings []memoryReading

type memoryReading struct {
	at   time.Time
	used int64
}

func (m *memoryReadings) add(at time.Time, used int64) {
	all := *m
	if n := len(all); n > 0 && !at.After(all[n-1].at) {
		all = nil // the clock was set back
	}
	if n := len(all); n > 1 && all[n-1].at.Sub(all[n-2].at) < growthStep {
		all = all[:n-1]
	}
	all = append(all, memoryReading{at, used})
	for at.Sub(all[0].at) > growthOver {
		all = all[1:]
	}
	*m = append((*m)[:0], all...)
}

// growth is the straight line with the least squares.
func (m memoryReadings) growth() Growth {
	if len(m) == 0 {
		return Growth{}
	}
	last := m[len(m)-1]
	over := last.at.Sub(m[0].at)
	if over < leastGrowthOver {
		return Growth{}
	}
	n := float64(len(m))
	var meanAt, meanUsed, product, square float64
	for _, r := range m {
		meanAt += r.at.Sub(last.at).Seconds() / n
		meanUsed += float64(r.used) / n
	}
	for _, r := range m {
		at := r.at.Sub(last.at).Seconds() - meanAt
		product += at * (float64(r.used) - meanUsed)
		square += at * at
	}
	g := Growth{Over: over, PerSecond: product / square}
	g.Used = meanUsed - meanAt*g.PerSecond
	return g
}
