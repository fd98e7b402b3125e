package web

import (
	"fmt"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/human"
)

// What is worth a word of how soon the memory is full, and what is worth attention, as
// the alerts StreamkeeperRedisMemoryHigh and StreamkeeperRedisMemoryFilling have it.
const (
	mentionedFull = 7 * 24 * time.Hour
	highShare     = 0.9
	soonFull      = 4 * time.Hour
	soonShare     = 0.5
)

// Percent is how full the memory is.
func (m Memory) Percent() int64 { return percent(m.Used, m.Max) }

// full is how soon the memory is full, at the present growth.
func (m Memory) full() (time.Duration, bool) {
	if m.Full == nil || m.Max <= 0 {
		return 0, false
	}
	return time.Duration(*m.Full * float64(time.Second)), true
}

// Forecast says when the memory is full at the present growth.
func (m Memory) Forecast() string {
	full, ever := m.full()
	switch {
	case m.Max <= 0 || m.Used <= 0:
		return ""
	case m.GrowthSeconds <= 0:
		return "growth not known yet"
	case ever && full <= mentionedFull:
		return fmt.Sprintf("full %s at the growth of %s", about(full), m.over())
	}
	return fmt.Sprintf("not full within 7 days at the growth of %s", m.over())
}

// over is the time by which the growth is judged.
func (m Memory) over() string {
	over := time.Duration(m.GrowthSeconds * float64(time.Second)).Round(time.Minute)
	if over >= 59*time.Minute {
		return "the last hour"
	}
	return "the last " + human.Duration(over)
}

func about(d time.Duration) string {
	if d < time.Minute {
		return "within a minute"
	}
	return "in about " + human.Duration(d.Round(time.Minute))
}

// attention says that the memory is nearly full, or will be soon, and which part of the
// runbook is about that; empty if it is not.
func (m Memory) attention() (text, anchor string) {
	uses := fmt.Sprintf("Redis's memory is %d %% of maxmemory", m.Percent())
	full, ever := m.full()
	switch {
	case m.Max <= 0:
		return "", ""
	case float64(m.Used) > highShare*float64(m.Max):
		return uses + ", at which it refuses what producers write, unless it evicts keys", "streamkeeperredismemoryhigh"
	case ever && full < soonFull && float64(m.Used) > soonShare*float64(m.Max):
		return uses + ", and " + m.Forecast(), "streamkeeperredismemoryfilling"
	}
	return "", ""
}
