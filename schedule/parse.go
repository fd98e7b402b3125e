package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/streamkeeper/streamkeeper/internal/human"
)

// Syntax says what a schedule may be; every error of [ParseSchedule] ends with it.
const Syntax = `a cron expression in UTC of 5 fields, or 6 with seconds first, such as "*/5 * * * *"; ` +
	`a descriptor such as @hourly; or "@every 30s", at least 1s and at most 366d`

const everyPrefix = "@every "

// ParseSchedule reads a cron expression of five fields or six (seconds first),
// a descriptor such as @daily, or "@every" with a duration of at least a second.
// Expressions are in UTC, where no hour is skipped or repeated, so a time zone is
// refused, and so is an expression that never comes true. The error does not
// repeat the text: its caller knows which setting it stood in.
func ParseSchedule(spec string) (cron.Schedule, error) {
	schedule, err := parse(strings.TrimSpace(spec))
	if err != nil {
		return nil, fmt.Errorf("%w; allowed: %s", err, Syntax)
	}
	return schedule, nil
}

func parse(spec string) (cron.Schedule, error) {
	switch {
	case strings.HasPrefix(spec, "TZ="), strings.HasPrefix(spec, "CRON_TZ="):
		return nil, errors.New("a time zone cannot be given, schedules are in UTC")
	case strings.HasPrefix(spec, everyPrefix):
		return parseEvery(strings.TrimSpace(strings.TrimPrefix(spec, everyPrefix)))
	}
	parser := cron.NewParser(cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)
	schedule, err := parser.Parse(spec)
	if err != nil {
		return nil, err
	}
	if s, ok := schedule.(*cron.SpecSchedule); ok {
		// The parser takes a field of commas alone for "no value at all", and Next
		// then looks at every second of five years.
		if s.Second == 0 || s.Minute == 0 || s.Hour == 0 || s.Dom == 0 || s.Month == 0 || s.Dow == 0 {
			return nil, errors.New("a field has no value")
		}
		s.Location = time.UTC
	}
	if schedule.Next(time.Now().UTC()).IsZero() {
		return nil, errors.New("this date does not come in the next five years")
	}
	return schedule, nil
}

func parseEvery(text string) (cron.Schedule, error) {
	d, err := human.ParseDuration(text)
	if err != nil {
		return nil, fmt.Errorf("@every: %w", err)
	}
	if d < time.Second {
		return nil, fmt.Errorf("@every %s is shorter than a second", d)
	}
	if d > longestInterval {
		return nil, fmt.Errorf("@every %s is longer than 366 days", d)
	}
	return interval(d), nil
}

// longestInterval is short enough that several of them can be reckoned with.
const longestInterval = 366 * 24 * time.Hour

// interval is "@every d", to the nanosecond: cron's own ConstantDelaySchedule
// drops fractions and starts on whole seconds, together with everybody else.
type interval time.Duration

// IsInterval reports whether a schedule is "@every", whose runs are all as far
// apart.
func IsInterval(s cron.Schedule) bool {
	_, ok := s.(interval)
	return ok
}

func (i interval) Next(t time.Time) time.Time { return t.Add(time.Duration(i)) }
