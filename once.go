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
	var force bool
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
			return a.once(c.Context(), args, force)
		},
	}
	a.outputFlag(c)
	a.redisFlag(c)
	a.dryRunFlag(c)
	c.Flags().BoolVar(&force, "force", false, "override the brake that stops a mass deletion")
	return c
}

func (a *app) once(ctx context.Context, jobs []string, force bool) error {
	format, err := a.format()
	if err != nil {
		return err
	}
	config, log, err := a.load()
	if err != nil {
		return err
	}
	if len(jobs) == 0 {
		jobs = config.enabledJobs()
	}
	b, err := a.open(ctx, config, log, a.dryRun, nil)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()
	result := report.Once{Version: version, Redis: redisReport(b), DryRun: a.dryRun, Jobs: []report.Job{}}
	o := oneShot{app: a, config: config, buffer: b, log: log, force: force}
	for _, name := range allJobs {
		if slices.Contains(jobs, name) {
			result.Jobs = append(result.Jobs, o.do(ctx, name))
		}
	}
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
	log    *slog.Logger
	force  bool
	// outcome decides the exit code: errFailed outranks errBrake.
	outcome error
}

func (o *oneShot) do(ctx context.Context, name string) report.Job {
	started := time.Now()
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
	if err != nil {
		o.outcome = errFailed
		o.log.Error("job failed", "job", name, "class", string(buffer.ClassOf(err)), "error", err)
	}
	report.Finish(job, time.Since(started), err)
	return job
}

func (o *oneShot) trim(ctx context.Context) (report.Job, int64, error) {
	job := &report.TrimJob{Head: report.Head{Job: jobTrim}}
	options, err := o.config.trimOptions(o.log)
	if err != nil {
		return job, 0, err
	}
	progress := report.NewProgress(o.stderr, isTerminal(o.stderr))
	options.OnProgress = func(p trim.Progress) { progress.Trim(p.Streams, p.Entries, p.Waiting) }
	trimmer := trim.New(o.buffer, options)
	var r trim.Report
	if o.dryRun {
		r, err = trimmer.Plan(ctx, func(trim.Action) {})
	} else {
		r, err = trimmer.Run(ctx)
	}
	progress.Done()
	job.Streams, job.StreamsTrimmed, job.EntriesRemoved, job.Errors = r.Streams, r.StreamsTrimmed, r.EntriesRemoved, r.Errors
	return job, r.Errors, err
}

func (o *oneShot) cleanup(ctx context.Context) (report.Job, int64, error) {
	job := &report.CleanupJob{Head: report.Head{Job: jobCleanup}}
	cleaner := cleanup.New(o.buffer, o.config.cleanupOptions(o.log, o.force))
	var r cleanup.Report
	var err error
	if o.dryRun {
		r, err = cleaner.Plan(ctx, func(cleanup.Action) {})
	} else {
		r, err = cleaner.Run(ctx)
	}
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
	r, err := inspect.New(o.buffer, options).Run(ctx, func(inspect.Message) {})
	job.Messages, job.Valid, job.Warn, job.Invalid, job.Bytes = r.Messages, r.OK, r.Warn, r.Invalid, r.Bytes
	return job, r.Errors, err
}
