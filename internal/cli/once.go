package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/inspect"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/metrics"
	"github.com/streamkeeper/streamkeeper/report"
	"github.com/streamkeeper/streamkeeper/trim"
)

// allJobs in the order in which once does them.
var allJobs = []string{jobs.Trim, jobs.Cleanup, jobs.Inspect}

func (a *app) onceCommand() *cobra.Command {
	var o onceOptions
	var gateway string
	c := &cobra.Command{
		Use:       "once [JOB…]",
		Short:     "Do each job, or those named (trim, cleanup, inspect), one time and exit",
		ValidArgs: allJobs,
		RunE: func(c *cobra.Command, args []string) error {
			for _, job := range args {
				if !slices.Contains(allJobs, job) {
					return usageError{fmt.Errorf("%q is no job: want trim, cleanup or inspect", job)}
				}
			}
			o.jobs = args
			if gateway != "" {
				g, err := metrics.ParseGateway(gateway)
				if err != nil {
					return usageError{fmt.Errorf("--push: %w", err)}
				}
				o.gateway = &g
			}
			return a.once(c.Context(), o)
		},
	}
	a.outputFlag(c)
	a.redisFlag(c)
	a.dryRunFlag(c)
	c.Flags().BoolVar(&o.force, "force", false, "override the brake that stops a mass deletion")
	c.Flags().StringVar(&o.metricsFile, "metrics-file", "", "leave metrics in this file (*.prom) for node_exporter's textfile collector, in a dry run too")
	c.Flags().StringVar(&gateway, "push", "", "leave metrics at this Pushgateway (http://[user:password@]host:port), in a dry run too")
	return c
}

// onceOptions are the arguments and flags of once.
type onceOptions struct {
	jobs        []string
	force       bool
	metricsFile string
	gateway     *metrics.Gateway
}

// keepsMetrics reports whether anybody asks for the metrics of the run.
func (o *onceOptions) keepsMetrics() bool { return o.metricsFile != "" || o.gateway != nil }

func (a *app) once(ctx context.Context, options onceOptions) (err error) {
	format, err := a.format()
	if err != nil {
		return err
	}
	config, log, err := a.load()
	if err != nil {
		return err
	}
	config.Jobs.Cleanup.Force = options.force
	o := oneShot{app: a, jobs: config.Jobs, log: log, meters: a.newMeters(config.Jobs, audience{})}
	if len(options.jobs) == 0 {
		options.jobs = enabledJobs(config.Jobs)
	}
	// That Redis is away is worth knowing too.
	defer func() { err = o.leaveMetrics(ctx, options, err) }()
	screen := a.live(a.Stderr)
	defer screen.Done()
	o.log = a.logger(config, screen)
	// The one that works.
	o.meters.leads(true)
	o.buffer, err = a.open(ctx, config, log, a.dryRun, o.meters.RedisError)
	if err != nil {
		for _, name := range options.jobs {
			o.meters.ran(name, metrics.ResultError, 0, err)
		}
		return err
	}
	defer func() { _ = o.buffer.Close() }()
	names := slices.DeleteFunc(slices.Clone(allJobs), func(job string) bool { return !slices.Contains(options.jobs, job) })
	o.board = report.NewBoard(names, a.dryRun)
	screen.Start(o.board.Rows)
	result := report.Once{Version: a.Version, Redis: redisReport(o.buffer), DryRun: a.dryRun, Jobs: []report.Job{}}
	for _, name := range names {
		result.Jobs = append(result.Jobs, o.do(ctx, name))
	}
	if options.keepsMetrics() {
		o.read(ctx)
	}
	screen.Done()
	return errors.Join(report.WriteOnce(a.Stdout, format, result), o.outcome)
}

// enabledJobs are the jobs that the configuration asks for.
func enabledJobs(o jobs.Options) (names []string) {
	for name, enabled := range map[string]bool{jobs.Trim: o.Trim.Enabled, jobs.Cleanup: o.Cleanup.Enabled, jobs.Inspect: o.Inspect.Enabled} {
		if enabled {
			names = append(names, name)
		}
	}
	return names
}

// oneShot does jobs one time.
type oneShot struct {
	*app
	jobs   jobs.Options
	buffer *buffer.Buffer
	meters meters
	log    *slog.Logger
	board  *report.Board
	// outcome decides the exit code: errFailed outranks errBrake.
	outcome error
}

func (o *oneShot) do(ctx context.Context, name string) report.Job {
	started := time.Now()
	o.board.Start(name)
	var job report.Job
	var failed int64
	var err error
	switch name {
	case jobs.Trim:
		job, failed, err = o.trim(ctx)
	case jobs.Cleanup:
		job, failed, err = o.cleanup(ctx)
	default:
		job, failed, err = o.inspect(ctx)
	}
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d items failed", failed)
	}
	outcome := metrics.ResultOK
	if err != nil {
		outcome = metrics.ResultError
		o.outcome = errFailed
		o.log.Error("job failed", "job", name, "class", string(buffer.ClassOf(err)), "error", err)
	}
	o.meters.ran(name, outcome, time.Since(started), err)
	report.Finish(job, time.Since(started), err)
	o.board.End(job)
	return job
}

// leaveMetrics hands the metrics over where they are asked for. If that fails
// the run has failed, whatever else became of it; but it is done.
func (o *oneShot) leaveMetrics(ctx context.Context, options onceOptions, err error) error {
	var inFile, pushed error
	if options.metricsFile != "" {
		if inFile = o.meters.WriteFile(options.metricsFile); inFile != nil {
			o.log.Error("the metrics are not in their file", "error", inFile)
		}
	}
	if options.gateway != nil {
		// A run that was told to stop tells of it, too.
		if pushed = o.meters.Push(context.WithoutCancel(ctx), *options.gateway); pushed != nil {
			o.log.Error("the metrics are not at the Pushgateway", "error", pushed)
		}
	}
	if (inFile != nil || pushed != nil) && (err == nil || errors.Is(err, errBrake)) {
		return errFailed
	}
	return err
}

// read reads the figures that the daemon's metrics job would.
func (o *oneShot) read(ctx context.Context) {
	started := time.Now()
	outcome := metrics.ResultOK
	_, _, err := o.meters.figures(ctx, metrics.NewReader(o.buffer, o.meters.Metrics), o.buffer)
	if err != nil {
		outcome = metrics.ResultError
		o.outcome = errFailed
		o.log.Error("cannot read the figures of the streams", "class", string(buffer.ClassOf(err)), "error", err)
	}
	o.meters.ran(jobs.Metrics, outcome, time.Since(started), err)
	o.meters.ping(ctx, o.buffer)
}

func (o *oneShot) trim(ctx context.Context) (report.Job, int64, error) {
	job := &report.TrimJob{Head: report.Head{Job: jobs.Trim}}
	options := o.jobs.Trim.Options
	options.Log = o.log.With("job", jobs.Trim)
	o.meters.onTrim(&options)
	o.meters.TrimStarted()
	options.OnProgress = func(p trim.Progress) { o.board.Trimming(jobs.Trim, p.Streams, p.Entries, p.Waiting) }
	trimmer := trim.New(o.buffer, options)
	var r trim.Report
	var err error
	if o.dryRun {
		r, err = trimmer.Plan(ctx, func(trim.Action) {})
	} else {
		r, err = trimmer.Run(ctx)
	}
	job.Pressure = r.Pressure
	job.Streams, job.StreamsTrimmed, job.EntriesRemoved, job.Errors = r.Streams, r.StreamsTrimmed, r.EntriesRemoved, r.Errors
	return job, r.Errors, err
}

func (o *oneShot) cleanup(ctx context.Context) (report.Job, int64, error) {
	job := &report.CleanupJob{Head: report.Head{Job: jobs.Cleanup}}
	options := o.jobs.Cleanup.Options
	options.Log = o.log.With("job", jobs.Cleanup)
	o.meters.onCleanup(&options)
	cleaner := cleanup.New(o.buffer, options)
	var r cleanup.Report
	var err error
	if o.dryRun {
		r, err = cleaner.Plan(ctx, func(cleanup.Action) {})
	} else {
		r, err = cleaner.Run(ctx)
	}
	o.meters.cleaned(r, o.dryRun, err)
	job.Sessions, job.SessionsExpired, job.SessionsAbandoned = r.Sessions, r.SessionsExpired, r.SessionsAbandoned
	job.SessionsMalformed, job.Streams, job.StreamsRetired = r.SessionsMalformed, r.Streams, r.StreamsRetired
	job.StreamsRestored, job.NamesDropped, job.Errors, job.Brake = r.StreamsRestored, r.NamesDropped, r.Errors, r.Brake
	if r.Brake != "" && !o.dryRun {
		o.log.Error("the brake stopped the clean-up: nothing was removed", "job", jobs.Cleanup, "why", r.Brake,
			"to_force", "streamkeeper once --force cleanup")
		if o.outcome == nil {
			o.outcome = errBrake
		}
	}
	return job, r.Errors, err
}

func (o *oneShot) inspect(ctx context.Context) (report.Job, int64, error) {
	job := &report.InspectJob{Head: report.Head{Job: jobs.Inspect}}
	options := o.jobs.Inspect.Options
	options.Log = o.log.With("job", jobs.Inspect)
	o.meters.onInspect(&options)
	options.OnProgress = func(p inspect.Progress) { o.board.Inspecting(jobs.Inspect, p.Streams, p.Messages) }
	o.meters.InspectStarted()
	r, err := inspect.New(o.buffer, options).Run(ctx, func(inspect.Message) {})
	job.Messages, job.Valid, job.Warn, job.Invalid, job.Bytes = r.Messages, r.OK, r.Warn, r.Invalid, r.Bytes
	return job, r.Errors, err
}
