package main

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
	"github.com/streamkeeper/streamkeeper/metrics"
	"github.com/streamkeeper/streamkeeper/report"
	"github.com/streamkeeper/streamkeeper/trim"
)

// The jobs, as they are called on the command line, in metrics and in logs.
const (
	jobTrim    = "trim"
	jobCleanup = "cleanup"
	jobInspect = "inspect"
)

// allJobs in the order in which once does them.
var allJobs = []string{jobTrim, jobCleanup, jobInspect}

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
	policies, err := config.policies()
	if err != nil {
		return fmt.Errorf("reading the policies: %w", err)
	}
	o := oneShot{app: a, config: config, log: log, force: options.force, meters: config.newMeters(policies, audience{})}
	if len(options.jobs) == 0 {
		options.jobs = config.enabledJobs()
	}
	// That Redis is away is worth knowing too.
	defer func() { err = o.leaveMetrics(ctx, options, err) }()
	screen := live(a.stderr)
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
	result := report.Once{Version: version, Redis: redisReport(o.buffer), DryRun: a.dryRun, Jobs: []report.Job{}}
	for _, name := range names {
		result.Jobs = append(result.Jobs, o.do(ctx, name))
	}
	if options.keepsMetrics() {
		o.read(ctx)
	}
	screen.Done()
	return errors.Join(report.WriteOnce(a.stdout, format, result), o.outcome)
}

// enabledJobs are the jobs that the configuration asks for.
func (c *Config) enabledJobs() []string {
	var jobs []string
	for job, enabled := range map[string]bool{jobTrim: c.Trim.Enabled.Value, jobCleanup: c.Cleanup.Enabled.Value, jobInspect: c.Inspect.Enabled.Value} {
		if enabled {
			jobs = append(jobs, job)
		}
	}
	return jobs
}

// oneShot does jobs one time.
type oneShot struct {
	*app
	config Config
	buffer *buffer.Buffer
	meters meters
	log    *slog.Logger
	board  *report.Board
	force  bool
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
	case jobTrim:
		job, failed, err = o.trim(ctx)
	case jobCleanup:
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
	o.meters.ran(jobMetrics, outcome, time.Since(started), err)
	o.meters.ping(ctx, o.buffer)
}

func (o *oneShot) trim(ctx context.Context) (report.Job, int64, error) {
	job := &report.TrimJob{Head: report.Head{Job: jobTrim}}
	options, err := o.config.trimOptions(o.log)
	if err != nil {
		return job, 0, err
	}
	o.meters.onTrim(&options)
	o.meters.TrimStarted()
	options.OnProgress = func(p trim.Progress) { o.board.Trimming(jobTrim, p.Streams, p.Entries, p.Waiting) }
	trimmer := trim.New(o.buffer, options)
	var r trim.Report
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
	job := &report.CleanupJob{Head: report.Head{Job: jobCleanup}}
	options := o.config.cleanupOptions(o.log, o.force)
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
		o.log.Error("the brake stopped the clean-up: nothing was removed", "job", jobCleanup, "why", r.Brake,
			"to_force", "streamkeeper once --force cleanup")
		if o.outcome == nil {
			o.outcome = errBrake
		}
	}
	return job, r.Errors, err
}

func (o *oneShot) inspect(ctx context.Context) (report.Job, int64, error) {
	job := &report.InspectJob{Head: report.Head{Job: jobInspect}}
	options, err := o.config.inspectOptions(o.log)
	if err != nil {
		return job, 0, err
	}
	o.meters.onInspect(&options)
	options.OnProgress = func(p inspect.Progress) { o.board.Inspecting(jobInspect, p.Streams, p.Messages) }
	o.meters.InspectStarted()
	r, err := inspect.New(o.buffer, options).Run(ctx, func(inspect.Message) {})
	job.Messages, job.Valid, job.Warn, job.Invalid, job.Bytes = r.Messages, r.OK, r.Warn, r.Invalid, r.Bytes
	return job, r.Errors, err
}
