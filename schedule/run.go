package schedule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/rescue"
)

// Result says how a run ended.
type Result string

const (
	// OK is a run that returned nil.
	OK Result = "ok"
	// Failed is a run that returned an error, panicked or overran its deadline.
	Failed Result = "error"
	// Skipped is a run that did not start because the one before was still running,
	// or that returned [ErrPaused].
	Skipped Result = "skipped"
	// Stopped is a run that stopping or a lost lease cut short. It appears in the
	// status alone: it neither succeeded nor failed.
	Stopped Result = "stopped"
)

// Outcome tells of one run.
type Outcome struct {
	Job      string
	Started  time.Time // UTC
	Duration time.Duration
	Result   Result // OK, Failed or Skipped
	// Paused says that it was skipped because of a pause.
	Paused bool
	// Err is set when Result is Failed; a [*rescue.PanicError] after a panic.
	Err error
}

// ErrPaused is returned by a run that did nothing because somebody paused it. That
// is as it should be: the job is not overdue for it.
var ErrPaused = errors.New("paused")

var errDeadline = errors.New("the run overran its deadline")

// run runs the job once. Its context ends with ctx, which is when this replica
// stops or loses the lease, or at the deadline.
func (s *Scheduler) run(ctx context.Context, j *job) {
	deadline, cancel := context.WithTimeoutCause(ctx, j.deadline(), errDeadline)
	defer cancel()
	o := Outcome{Job: j.Name, Started: s.wall(), Result: OK}
	s.noteStart(j, o.Started)
	begun := time.Now()
	o.Err = rescue.Call(func() error { return j.Run(deadline) })
	o.Duration = time.Since(begun)

	_, panicked := errors.AsType[*rescue.PanicError](o.Err)
	switch {
	case o.Err == nil:
	case errors.Is(o.Err, ErrPaused):
		o.Result, o.Err, o.Paused = Skipped, nil, true
	case ctx.Err() != nil && !panicked:
		o.Result = Stopped
	default:
		o.Result = Failed
		if errors.Is(context.Cause(deadline), errDeadline) {
			o.Err = fmt.Errorf("%w: %w", errDeadline, o.Err)
		}
	}
	s.noteEnd(j, o)
	s.report(o)
}

// report says how a run went. A panic of who hears it ends neither the loop nor
// the process.
func (s *Scheduler) report(o Outcome) {
	err := rescue.Call(func() error {
		s.logRun(o)
		if s.opts.OnRun != nil && o.Result != Stopped {
			s.opts.OnRun(o)
		}
		return nil
	})
	if err != nil {
		s.withStack(err).Error("cannot report run", keyJob, o.Job, keyError, err)
	}
}

// withStack is a log that says where a panic was, if the error is one.
func (s *Scheduler) withStack(err error) *slog.Logger {
	if p, ok := errors.AsType[*rescue.PanicError](err); ok {
		return s.log.With(keyStack, string(p.Stack))
	}
	return s.log
}

func (s *Scheduler) skip(j *job) {
	s.report(Outcome{Job: j.Name, Started: s.wall(), Result: Skipped})
}

// classed is a log that says of what class an error is.
func (s *Scheduler) classed(log *slog.Logger, err error) *slog.Logger {
	if s.opts.Class == nil {
		return log
	}
	return log.With(keyClass, s.opts.Class(err))
}

// logRun leaves a run that went well to the job, which knows what was done.
func (s *Scheduler) logRun(o Outcome) {
	log := s.withStack(o.Err).With(keyJob, o.Job)
	switch o.Result {
	case OK:
		log.Debug("run done", keyDuration, o.Duration)
	case Skipped:
		if o.Paused { // who paused it says so once
			log.Debug("run paused", keyDuration, o.Duration)
			return
		}
		log.Warn("run skipped", keyReason, "the one before is still running")
	case Stopped:
		log.Info("run cut short", keyDuration, o.Duration, keyError, o.Err)
	case Failed:
		s.classed(log, o.Err).Error("run failed", keyDuration, o.Duration, keyError, o.Err)
	}
}
