package schedule

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// errNoProgress is why a leader gives the lease up that it could renew.
var errNoProgress = errors.New("no job makes progress")

// patience is how long a run may take before it is taken for one that hangs:
// three periods of its schedule, and the lease's time to live.
func (s *Scheduler) patience(j *job) time.Duration {
	return 3*min(j.period(), maxDeadline) + s.opts.LeaseTTL
}

// hangs reports whether the run of a job that is under way takes too long. It is
// called with mu held.
func (s *Scheduler) hangs(j *job) bool {
	return j.Running && time.Since(j.begun) >= s.patience(j)
}

// noProgress reports whether a run of the leader hangs, and no other run of it
// has ended meanwhile either.
func (s *Scheduler) noProgress() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.jobs, func(j *job) bool {
		return j.Leader && s.hangs(j) && time.Since(s.progress) >= s.patience(j)
	})
}

// progressed reports whether a run of the leader has ended since then, or none
// is under way.
func (s *Scheduler) progressed(then time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.progress.After(then) || !slices.ContainsFunc(s.jobs, func(j *job) bool { return j.Leader && j.Running })
}

// stalledAfter is how long a loop of the scheduler may stand still, beside the
// lease's time to live: each goes round every second, and a call for the lease
// is bounded.
const stalledAfter = 30 * time.Second

// turns notes that a loop goes round.
func (s *Scheduler) turns(loop string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turned[loop] = time.Now()
}

// waits notes that a loop has ended, or waits for something that may take any
// time.
func (s *Scheduler) waits(loop string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.turned, loop)
}

// Alive is an error where a loop of the scheduler stands still, so that nothing
// is started any more. Runs that hang are no reason.
func (s *Scheduler) Alive() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var still []string
	for loop, at := range s.turned {
		if time.Since(at) > stalledAfter+s.opts.LeaseTTL {
			still = append(still, loop)
		}
	}
	if len(still) == 0 {
		return nil
	}
	slices.Sort(still)
	return fmt.Errorf("the scheduler stands still: %s", strings.Join(still, ", "))
}
