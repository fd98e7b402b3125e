package web

import (
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/human"
)

// Health is whether the daemon does what it is there for.
type Health struct {
	OK     bool    `json:"ok"`
	Checks []Check `json:"checks"`
	// Attention is what somebody should look at although every check is passed.
	Attention []string `json:"attention"`
	// Pauses are those that hold.
	Pauses []Pause `json:"pauses"`
}

// Check is one check and why it was passed or not.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Reason string `json:"reason"`
}

// healthOf checks a status.
func healthOf(s Status) Health {
	h := Health{OK: true, Checks: []Check{processCheck(s), redisCheck(s.Redis)}, Attention: attention(s), Pauses: append([]Pause{}, s.Pauses...)}
	for _, j := range s.Jobs {
		h.Checks = append(h.Checks, jobCheck(s, j))
	}
	for _, c := range h.Checks {
		h.OK = h.OK && c.OK
	}
	return h
}

func processCheck(s Status) Check {
	if s.Stopping {
		return Check{"process", false, "is stopping"}
	}
	return Check{"process", true, "runs"}
}

func redisCheck(r Redis) Check {
	if r.Error != "" {
		return Check{"redis", false, "cannot be used: " + r.Error}
	}
	if r.Refused != "" {
		return Check{"redis", false, "answers, and nothing is removed: " + r.Refused}
	}
	return Check{"redis", true, "answers"}
}

// jobPrefix begins the name of the check of a job.
const jobPrefix = "job "

func jobCheck(s Status, j Job) Check {
	name := jobPrefix + j.Name
	switch {
	case j.Hangs:
		return Check{name, false, "hangs: running since " + human.Duration(since(s.Time, j.LastStart))}
	case j.Overdue && j.LastSuccess.IsZero():
		return Check{name, false, "overdue: not one good run yet" + lastError(j)}
	case j.Overdue:
		return Check{name, false, "overdue: last good run " + ago(s.Time, j.LastSuccess) + lastError(j)}
	case j.Running:
		return Check{name, true, "running since " + human.Duration(since(s.Time, j.LastStart))}
	case j.NextRun.IsZero() && s.Waits():
		return Check{name, true, "waits for Redis"}
	case j.NextRun.IsZero():
		return Check{name, true, "not run by this replica"}
	case j.LastSuccess.IsZero():
		return Check{name, true, "first good run awaited" + lastError(j)}
	}
	return Check{name, true, "last good run " + ago(s.Time, j.LastSuccess)}
}

func lastError(j Job) string {
	if j.Error == "" {
		return ""
	}
	return "; last error: " + j.Error
}

// attention lists what a person should know of.
func attention(s Status) []string {
	all := []string{}
	for _, it := range items(s) {
		all = append(all, it.Text)
	}
	return all
}

// tolerated is how many entries a stream may be over its limit before that is worth a
// word: approximate trimming leaves up to a macro node of entries, 100 by
// default, and producers go on between two runs.
func tolerated(limit int64) int64 { return max(100, limit/5) }

// overLimit is about entries that nothing protects.
func (s Stream) overLimit() bool {
	return s.Limit > 0 && s.Entries-s.Limit-s.Protected > tolerated(s.Limit)
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return human.Count(n) + " " + many
}

// since is never negative, whatever the clocks say.
func since(now, t time.Time) time.Duration { return max(0, now.Sub(t)).Round(time.Second) }

// ago says how long ago something was: "12s ago", or "never".
func ago(now, t time.Time) string {
	switch d := since(now, t); {
	case t.IsZero():
		return "never"
	case d == 0:
		return "just now"
	default:
		return human.Duration(d) + " ago"
	}
}

// in says how soon something is to be: "in 12s".
func in(now, t time.Time) string {
	switch d := since(t, now); {
	case t.IsZero():
		return ""
	case d == 0:
		return "now"
	default:
		return "in " + human.Duration(d)
	}
}

// capital makes the first letter of an English sentence a large one.
func capital(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
