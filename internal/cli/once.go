package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/metrics"
	"github.com/streamkeeper/streamkeeper/report"
)

func (a *app) onceCommand() *cobra.Command {
	var o onceOptions
	var gateway string
	c := &cobra.Command{
		Use:       "once [JOB…]",
		Short:     fmt.Sprintf("Do each job, or those named (%s), one time and exit", strings.Join(jobs.OnDemand(), ", ")),
		ValidArgs: jobs.OnDemand(),
		RunE: func(c *cobra.Command, args []string) error {
			for _, name := range args {
				if _, err := jobs.Named(name); err != nil {
					return usageError{fmt.Errorf("%w; allowed: %s", err, strings.Join(jobs.OnDemand(), ", "))}
				}
			}
			o.names = args
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
	c.Flags().BoolVar(&o.force, "force", false, "override the mass-deletion guard")
	c.Flags().StringVar(&o.metricsFile, "metrics-file", "", "leave metrics in this file (*.prom) for node_exporter's textfile collector, in a dry run too")
	c.Flags().StringVar(&gateway, "push", "", "leave metrics at this Pushgateway (http://[user:password@]host:port), in a dry run too")
	return c
}

// onceOptions are the arguments and flags of once.
type onceOptions struct {
	names       []string
	force       bool
	metricsFile string
	gateway     *metrics.Gateway
}

// keepsMetrics reports whether anybody asks for the metrics of the run.
func (o *onceOptions) keepsMetrics() bool { return o.metricsFile != "" || o.gateway != nil }

// chosen are the jobs that are asked for, or else enabled, in the order of the
// list; and the one that reads figures, if somebody wants its metrics.
func (o *onceOptions) chosen(enabled []string) (all []jobs.Job) {
	names := o.names
	if len(names) == 0 {
		names = enabled
	}
	var last []jobs.Job
	for _, job := range jobs.All() {
		switch {
		case slices.Contains(names, job.Name):
			all = append(all, job)
		case job.Background && o.keepsMetrics():
			last = append(last, job)
		}
	}
	return append(all, last...)
}

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
	m := meters{jobs.NewMetrics(config.Jobs, a.Version, a.revision())}
	a.onDroppedLines(m.LogDropped)
	// That Redis is away is worth knowing too.
	defer func() { err = leaveMetrics(ctx, m, options, log, err) }()
	screen := a.live(a.Stderr)
	defer screen.Done()
	log = a.logger(config, screen)
	// The one that works.
	m.Leader(true)
	chosen := options.chosen(config.Jobs.Enabled())
	b, err := a.openOnce(ctx, config, log, a.dryRun, m.RedisError)
	if err != nil {
		for _, job := range chosen {
			if !job.Background {
				m.ran(job.Name, metrics.ResultError, 0, err)
			}
		}
		return err
	}
	defer func() { _ = b.Close() }()
	o := oneShot{
		env:    jobs.Env{Options: config.Jobs, Buffer: b, Metrics: m.Metrics, DryRun: a.dryRun, Log: log},
		meters: m,
	}
	results := o.doAll(ctx, chosen, screen)
	if options.keepsMetrics() {
		m.ping(ctx, b)
	}
	screen.Done()
	out := report.Once{Version: a.Version, Redis: redisReport(b), DryRun: a.dryRun, Jobs: results}
	return errors.Join(report.WriteOnce(a.Stdout, format, out), o.outcome)
}

// oneShot does jobs one time.
type oneShot struct {
	env    jobs.Env
	meters meters
	// outcome decides the exit code: errFailed outranks errBrake.
	outcome error
}

// doAll does the jobs, shows on the screen how far they are, and returns the
// results of those that can be asked for.
func (o *oneShot) doAll(ctx context.Context, chosen []jobs.Job, screen *report.Live) []jobs.Result {
	var names []string
	for _, job := range chosen {
		if !job.Background {
			names = append(names, job.Name)
		}
	}
	board := report.NewBoard(names, o.env.DryRun)
	o.env.OnProgress = board.Doing
	screen.Start(board.Rows)
	results := []jobs.Result{}
	for _, job := range chosen {
		board.Start(job.Name)
		result := o.do(ctx, job)
		board.End(result)
		if !job.Background {
			results = append(results, result)
		}
	}
	return results
}

func (o *oneShot) do(ctx context.Context, job jobs.Job) jobs.Result {
	started := time.Now()
	result, err := jobs.NewRunner(o.env, job).Run(ctx)
	outcome := metrics.ResultOK
	switch {
	case err != nil:
		outcome, o.outcome = metrics.ResultError, errFailed
		o.env.Log.Error("job failed", "job", job.Name, "class", string(redisconn.ClassOf(err)), "error", err)
	case result.Stopped() != "" && !o.env.DryRun && o.outcome == nil:
		o.outcome = errBrake
	}
	o.meters.ran(job.Name, outcome, time.Since(started), err)
	return result
}

// leaveMetrics hands the metrics over where they are asked for. If that fails
// the run has failed, whatever else became of it; but it is done.
func leaveMetrics(ctx context.Context, m meters, options onceOptions, log *slog.Logger, err error) error {
	var inFile, pushed error
	if options.metricsFile != "" {
		if inFile = m.WriteFile(options.metricsFile); inFile != nil {
			log.Error("cannot write metrics file", "error", inFile)
		}
	}
	if options.gateway != nil {
		// A run that was told to stop tells of it, too.
		if pushed = m.Push(context.WithoutCancel(ctx), *options.gateway); pushed != nil {
			log.Error("cannot push metrics", "error", pushed)
		}
	}
	if (inFile != nil || pushed != nil) && (err == nil || errors.Is(err, errBrake)) {
		return errFailed
	}
	return err
}
