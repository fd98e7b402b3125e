// Package schedule starts jobs on their schedules, on one of several replicas,
// and stops them gracefully. It knows nothing of what the jobs do.
//
// Of robfig/cron it uses the parser and [cron.Schedule], not the runner: each job
// here is one small loop that asks the schedule for the first time after now,
// so a clock that jumps causes one run at most (cron's runner catches up
// on every missed time), a panic cannot keep the guard against overlapping runs,
// and "@every" follows the monotonic clock, which nobody sets.
package schedule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	// DefaultSpread is the time over which the first runs after start are
	// scattered, so that many installations do not hit one Redis at once.
	DefaultSpread = 10 * time.Second

	// MinLeaseTTL is the shortest lease that New accepts.
	MinLeaseTTL = 100 * time.Millisecond
)

// ErrGraceExceeded is returned by [Scheduler.Run] when jobs were still running
// at the end of Options.Grace.
var ErrGraceExceeded = errors.New("jobs did not stop in time")

// Keys of log attributes.
const (
	keyJob      = "job"
	keyDuration = "duration"
	keyClass    = "class"
	keyError    = "error"
	keyStack    = "stack"
	keyLease    = "lease"
	keyReason   = "reason"
)

// Options says what a Scheduler runs and how.
type Options struct {
	Jobs []Job

	// Name begins the token in the lease, before a space, so that others can say who
	// leads; it may be empty.
	Name string
	// Lease elects one of several replicas; nil means that this one leads always.
	Lease Lease
	// LeaseTTL is how long the lease outlives its last renewal.
	LeaseTTL time.Duration

	// Grace is how long Run may take to return after its context ends.
	Grace time.Duration
	// Spread scatters the first run of each job over this time (at most over one
	// period of its schedule, and over a third of LeaseTTL after a takeover), and
	// delays those of a cron expression by a fixed random part of it (at most a
	// tenth of a period). Zero means at once and on the second.
	Spread time.Duration

	// Log hears of failed, skipped and cut-short runs and of leadership; nil discards.
	Log *slog.Logger
	// Class names the kind of an error for the log; nil leaves it out.
	Class func(error) string

	// OnRun hears of every run that ended as ok or error and of every skipped one. A
	// run that was cut short by stopping or by a lost lease neither succeeded
	// nor failed, and is not told. Called from several goroutines.
	OnRun func(Outcome)
	// OnLeader hears of each change of leadership; the first call is with true.
	OnLeader func(bool)

	wall func() time.Time // the time of day, wallClock unless a test sets it
}

// Scheduler runs jobs. Make one with [New].
type Scheduler struct {
	opts    Options
	log     *slog.Logger
	jobs    []*job
	elector *elector         // nil without a lease
	wall    func() time.Time // the time of day, which may be set while we run

	// work counts the loops and runs of all jobs. It grows only from within a
	// goroutine that it counts, or under mu while not stopping.
	work sync.WaitGroup

	mu       sync.Mutex // guards what follows, and the state of each job
	term     *term      // nil unless this replica leads
	stopping bool
	progress time.Time            // when a run of the leader last ended
	turned   map[string]time.Time // when each loop last went round
}

// New checks the options and returns a Scheduler that is ready to Run, or an error
// that names every fault.
func New(opts Options) (*Scheduler, error) {
	s := &Scheduler{opts: opts, log: opts.Log, wall: opts.wall, turned: make(map[string]time.Time)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.wall == nil {
		s.wall = wallClock
	}
	var faults []error
	names := make(map[string]bool)
	for _, j := range opts.Jobs {
		if names[j.Name] {
			faults = append(faults, fmt.Errorf("job %q is there twice", j.Name))
		}
		names[j.Name] = true
		checked, err := s.newJob(j)
		if err != nil {
			faults = append(faults, fmt.Errorf("job %q: %w", j.Name, err))
		}
		s.jobs = append(s.jobs, checked)
	}
	if opts.Grace < 0 || opts.Spread < 0 {
		faults = append(faults, errors.New("grace and spread cannot be negative"))
	}
	if opts.Lease != nil {
		if opts.LeaseTTL < MinLeaseTTL {
			faults = append(faults, fmt.Errorf("lease TTL %s is shorter than %s", opts.LeaseTTL, MinLeaseTTL))
		}
		s.elector = newElector(s)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return s, nil
}

// Run starts each job once soon and then on its schedule, until ctx ends. Then it
// cancels the runs, waits for them, gives the lease back so that a follower
// takes over at once, and returns within Options.Grace: nil, or
// ErrGraceExceeded if jobs were still running. A Scheduler runs once.
func (s *Scheduler) Run(ctx context.Context) error {
	s.mu.Lock()
	s.startLoops(ctx, everyReplica, false)
	s.mu.Unlock()

	renewing, stopRenewing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRenewing()
	var election sync.WaitGroup
	if s.elector == nil {
		s.beginTerm(ctx, false)
	} else {
		election.Go(func() { s.elector.run(renewing, ctx) })
	}

	<-ctx.Done()
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()

	// The lease is renewed until the last run has ended: a run that takes its time
	// to stop is no reason for two to work at once.
	releaseTime := min(s.opts.Grace/4, 2*time.Second)
	ended := s.awaitWork(s.opts.Grace - releaseTime)
	stopRenewing()
	election.Wait()
	s.endTerm(errStopped)
	if s.elector != nil {
		s.elector.release(context.WithoutCancel(ctx), releaseTime)
	}
	if !ended {
		return ErrGraceExceeded
	}
	return nil
}

// awaitWork reports whether all loops and runs ended within d.
func (s *Scheduler) awaitWork(d time.Duration) bool {
	done := make(chan struct{})
	go func() {
		s.work.Wait()
		close(done)
	}()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}
