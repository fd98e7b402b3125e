// Package jobs lists what streamkeeper does again and again. A job is one file:
// its options, how it runs once, and what its result says. The daemon, `once`,
// the demo and the page know jobs by this list alone.
package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/history"
	"github.com/streamkeeper/streamkeeper/inspect"
	"github.com/streamkeeper/streamkeeper/internal/settings"
	"github.com/streamkeeper/streamkeeper/metrics"
)

// Job is a kind of work.
type Job struct {
	// Name is what it is called on the command line, in metrics and in logs.
	Name string
	// Background says that the daemon alone does it, and nobody asks for it by
	// name.
	Background bool
	// Removes says that it removes something, so that a pause of no job by name stops
	// it too.
	Removes bool
	// byStream says that it counts what it does by stream, so that the streams
	// have to have their labels before it begins.
	byStream bool
	when     func(Options) When
	// use notes whether it is done, for the rights that it needs beside those that all
	// jobs have; nil if it needs none.
	use func(u *buffer.Uses, done bool)
	// prepare makes what runs it; that may remember things from run to run.
	prepare func(Env) run
}

// run does a job once. The result is of use even beside an error.
type run func(ctx context.Context) (Result, error)

// All lists the jobs in the order in which they are shown, and `once` does them
// but for those of the background, which come last there.
func All() []Job { return []Job{metricsJob(), trimJob(), cleanupJob(), inspectJob()} }

// OnDemand lists the names of the jobs that can be asked for.
func OnDemand() (names []string) {
	for _, j := range All() {
		if !j.Background {
			names = append(names, j.Name)
		}
	}
	return names
}

// Named is the job of that name that can be asked for.
func Named(name string) (Job, error) {
	for _, j := range All() {
		if j.Name == name && !j.Background {
			return j, nil
		}
	}
	return Job{}, fmt.Errorf("unknown job %q", name)
}

// Settings are those of all jobs, as the environment has them.
type Settings struct {
	Trim    TrimSettings    `split_words:"true"`
	Cleanup CleanupSettings `split_words:"true"`
	Inspect InspectSettings `split_words:"true"`
	Metrics MetricsSettings `split_words:"true"`
}

// Table lists the settings of all jobs.
func (s *Settings) Table() settings.Table {
	return slices.Concat(s.Trim.table(), s.Cleanup.table(), s.Inspect.table(), s.Metrics.table())
}

// Options hand each job its own.
func (s *Settings) Options() (Options, error) {
	ofTrim, err := s.Trim.options()
	if err != nil {
		return Options{}, fmt.Errorf("reading the policies: %w", err)
	}
	return Options{
		Trim: ofTrim, Cleanup: s.Cleanup.options(s.Inspect.Encoding.Value, s.Trim.GroupIdleAfter.Value),
		Inspect: s.Inspect.options(), Metrics: s.Metrics.options(),
	}, nil
}

// Options are what the configuration says of the jobs.
type Options struct {
	Trim    TrimOptions
	Cleanup CleanupOptions
	Inspect InspectOptions
	Metrics MetricsOptions
}

// When says whether a job runs, and when.
type When struct {
	Enabled bool
	// Schedule is what [schedule.ParseSchedule] reads.
	Schedule string
	// Given says that somebody set the schedule.
	Given bool
}

// whenOf reads the settings of a job.
func whenOf(enabled *settings.Bool, schedule *settings.Schedule) When {
	return When{Enabled: enabled.Value, Schedule: schedule.Value, Given: schedule.Origin() == settings.OriginEnvironment}
}

// NoteUses notes which jobs are done, for the rights that they need.
func NoteUses(u *buffer.Uses, done func(Job) bool) {
	u.Job = false
	for _, j := range All() {
		is := done(j)
		u.Job = u.Job || is
		if j.use != nil {
			j.use(u, is)
		}
	}
}

// When says whether and when the options have a job run.
func (j Job) When(o Options) When { return j.when(o) }

// Enabled lists the names of the jobs that can be asked for and run on schedule.
func (o Options) Enabled() (names []string) {
	for _, j := range All() {
		if !j.Background && j.when(o).Enabled {
			names = append(names, j.Name)
		}
	}
	return names
}

// Env is what the jobs work with.
type Env struct {
	Options Options
	Buffer  *buffer.Buffer
	Metrics *metrics.Metrics
	// Policies are what streams may keep; nil for those of the options.
	Policies *LivePolicies
	// History records removals; nil where nothing is recorded.
	History *history.Recorder
	// DryRun decides and reports, and changes nothing.
	DryRun bool
	// IgnorePause works as if nothing was paused.
	IgnorePause bool
	// Unwatched says that nobody will read the metrics.
	Unwatched bool
	Listener  Listener
	// OnProgress hears in words how far a job is; nil for nobody.
	OnProgress func(job, doing string)
	Log        *slog.Logger

	// pauses are those of the job that is prepared; nil where they do not count.
	pauses *Pauses
}

// Listener hears of single actions as they happen; nil for what it does not
// care about.
type Listener struct {
	OnTrimmed   func(stream string, entries int64)
	OnCleanedUp func(cleanup.Action)
	OnInspected func(inspect.Message)
	OnFigures   func(metrics.Snapshot)
	// Cleanup hears of each session and stream.
	Cleanup CleanupListener
}

// CleanupListener hears what a clean-up makes of sessions and streams.
type CleanupListener interface {
	Begin()
	// Session and Stream are those of [cleanup.Options].
	Session(s *registry.Session, is cleanup.State, reason string)
	Stream(f cleanup.StreamFacts, fate cleanup.StreamState, reason string)
	Acted(a cleanup.Action)
	// End tells whether the run came to its end.
	End(err error)
}

// log is that of a job.
func (e Env) log(job string) *slog.Logger { return e.Log.With("job", job) }

// refusal is why what removes may not run now: on a replica it would change what
// the master knows nothing of.
func (e Env) refusal(ctx context.Context) error {
	if e.DryRun {
		return nil
	}
	return e.Buffer.Refusal(ctx)
}

// progress tells how far a job is.
func (e Env) progress(job, doing string) {
	if e.OnProgress != nil {
		e.OnProgress(job, doing)
	}
}

// Runner does one job again and again. It is not safe for concurrent use.
type Runner struct {
	env Env
	job Job
	run run
	// figures gives the streams their labels.
	figures *metrics.Reader
}

// NewRunner prepares a job.
func NewRunner(e Env, j Job) *Runner {
	if !e.IgnorePause {
		e.pauses = NewPauses(e.Buffer, j.Name)
	}
	return &Runner{env: e, job: j, run: j.prepare(e), figures: metrics.NewReader(e.Buffer, e.Metrics)}
}

// Run does the job once. A run in which single items failed has failed; the
// error is in the result too.
func (r *Runner) Run(ctx context.Context) (Result, error) {
	started := time.Now()
	if r.job.byStream && !r.env.Unwatched {
		if err := r.figures.ReadFirst(ctx); err != nil {
			// The job says itself what is wrong, if it is still so.
			r.env.log(r.job.Name).Debug("cannot read figures", "error", err)
		}
	}
	r.env.pauses.begin()
	result, err := r.run(ctx)
	result.head().passedOver = r.env.pauses.passedOver()
	if n := result.Failed(); err == nil && n > 0 {
		err = fmt.Errorf("%d items failed", n)
	}
	if err == nil {
		err = r.notePause(ctx, result.head())
	}
	result.head().finish(r.job.Name, time.Since(started), err)
	return result, err
}

// notePause says in the result that the job is paused as a whole, and in the
// metrics that any of it is.
func (r *Runner) notePause(ctx context.Context, h *Head) error {
	pauses := r.env.pauses
	if pauses == nil || r.job.Background {
		return nil
	}
	all, err := pauses.Now(ctx)
	if err != nil && !pauses.removes {
		return nil // it goes on
	}
	if err != nil {
		return err
	}
	r.env.Metrics.Paused(r.job.Name, len(all) > 0)
	if whole := all.Whole(); whole != nil {
		h.Paused = whole.Sentence()
	} else {
		for _, p := range all {
			h.pauses = append(h.pauses, p.Sentence())
		}
	}
	return nil
}
