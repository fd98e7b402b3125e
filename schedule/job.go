package schedule

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/robfig/cron/v3"
)

// Job is something to do again and again.
type Job struct {
	Name string
	// Schedule is what [ParseSchedule] reads.
	Schedule string
	// Run does it once. When ctx ends (stopping, lease lost, deadline) it ends at the
	// next point that is safe. A panic is a failed run.
	Run func(ctx context.Context) error
	// Leader says that only the replica that holds the lease runs it.
	Leader bool
}

// The deadline of a run is a safety net, for a run that hangs and would make every
// later one count as skipped: ten periods of its schedule, within these bounds.
// A job that wants to be done within its period keeps that budget itself.
const (
	minDeadline = 5 * time.Minute
	maxDeadline = 24 * time.Hour
)

// job is a Job with its schedule and what became of it.
type job struct {
	Job
	schedule cron.Schedule
	// now is the clock of its schedule: "@every" counts on the monotonic clock,
	// expressions go by the time of day.
	now func() time.Time
	// phase delays each scheduled time of a cron expression.
	phase time.Duration
	// busy holds one token while a run is going.
	busy chan struct{}

	record // guarded by Scheduler.mu
}

func (s *Scheduler) newJob(j Job) (*job, error) {
	if j.Name == "" {
		return nil, errors.New("a name is missing")
	}
	if j.Run == nil {
		return nil, errors.New("there is nothing to run")
	}
	schedule, err := ParseSchedule(j.Schedule)
	if err != nil {
		return nil, fmt.Errorf("schedule %q: %w", j.Schedule, err)
	}
	checked := &job{Job: j, schedule: schedule, busy: make(chan struct{}, 1)}
	if _, ok := schedule.(interval); ok {
		checked.now = time.Now
	} else {
		checked.now = s.wall
		checked.phase = within(min(s.opts.Spread, checked.period()/10))
	}
	return checked, nil
}

// period is the time between the next two scheduled times.
func (j *job) period() time.Duration {
	next := j.schedule.Next(j.now())
	return j.schedule.Next(next).Sub(next)
}

func (j *job) deadline() time.Duration {
	return max(minDeadline, 10*min(j.period(), maxDeadline/10))
}

// loop starts the job after the first wait and then on schedule, until ctx ends.
func (s *Scheduler) loop(ctx context.Context, j *job, first time.Duration) {
	defer s.announce(j, time.Time{})
	defer s.waits(j.Name)
	s.announce(j, j.now().Add(first))
	if !sleep(ctx, first) {
		return
	}
	// A run that a lost lease cut short may still be ending. It does not cost the
	// first run after that, which may be the only one of this day.
	select {
	case j.busy <- struct{}{}:
		s.start(ctx, j)
	case <-ctx.Done():
	}
	for s.awaitNext(ctx, j) {
		s.turns(j.Name)
		select {
		case j.busy <- struct{}{}:
			s.start(ctx, j)
		default:
			s.skip(j)
		}
	}
}

// awaitNext waits for the first scheduled time after now, however many have
// passed, and reports false when ctx ended first.
func (s *Scheduler) awaitNext(ctx context.Context, j *job) bool {
	seen := j.now()
	next := j.schedule.Next(seen)
	for !next.IsZero() {
		s.announce(j, next.Add(j.phase))
		now := j.now()
		if now.Before(seen) { // set back: do not wait for the time that it was
			next = j.schedule.Next(now)
		}
		seen = now
		left := next.Add(j.phase).Sub(now)
		if left <= 0 {
			return ctx.Err() == nil
		}
		s.turns(j.Name)
		if !sleep(ctx, min(left, tick)) {
			return false
		}
	}
	s.waits(j.Name)
	<-ctx.Done() // an expression like 29 February may pause for eight years
	return false
}

// start runs the job, whose token is taken, unless it may not any more.
func (s *Scheduler) start(ctx context.Context, j *job) {
	if ctx.Err() != nil || j.Leader && !s.leads() {
		<-j.busy
		return
	}
	s.work.Go(func() {
		defer func() { <-j.busy }()
		s.run(ctx, j)
	})
}
