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

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/metrics"
	"github.com/streamkeeper/streamkeeper/report"
)

func (a *app) onceCommand() *cobra.Command {
	var o onceOptions
	c := &cobra.Command{
		Use:   "once [JOB…]",
		Short: fmt.Sprintf("Do each job, or those named (%s), one time and exit", strings.Join(jobs.OnDemand(), ", ")),
		Long: "once does each enabled job, or those named, one time and exits: for a CronJob. Exits with 1 if a job\n" +
			"failed, and with 3 if the mass-deletion guard stopped the clean-up. What is paused is not done, which\n" +
			"is no failure.\n\n" +
			"once trim --stream PATTERN trims the streams that the pattern matches (a Redis glob, or a quoted name),\n" +
			"no others; --max-length, --max-age and --max-bytes are their limits for this run alone. What a policy\n" +
			"keeps by keep=all still stays.",
		Example: "  streamkeeper once\n  streamkeeper once trim cleanup --dry-run\n" +
			"  streamkeeper once trim --stream 'rocket-*' --max-length 5000 --max-age 1d\n  streamkeeper once --metrics-file /var/lib/node_exporter/streamkeeper.prom",
		ValidArgs: jobs.OnDemand(),
		RunE: func(c *cobra.Command, args []string) error {
			for _, name := range args {
				if _, err := jobs.Named(name); err != nil {
					return usageError{fmt.Errorf("%w; allowed: %s", err, strings.Join(jobs.OnDemand(), ", "))}
				}
			}
			o.names = args
			if err := o.checkLimits(c.Flags().Changed, func(flag string) string { return c.Flags().Lookup(flag).Value.String() }); err != nil {
				return usageError{err}
			}
			return a.once(c.Context(), o)
		},
	}
	a.outputFlag(c)
	a.redisFlag(c)
	a.dryRunFlag(c)
	c.Flags().BoolVar(&o.force, "force", false, "override the mass-deletion guard (CLEANUP_BRAKE)")
	c.Flags().BoolVar(&o.ignorePause, "ignore-pause", false, "do what is paused, too")
	c.Flags().StringArrayVar(&o.streams, "stream", nil, "trim the streams that this pattern matches, no others; may be repeated")
	for _, l := range onceLimits {
		c.Flags().String(l.flag, "", l.usage)
	}
	c.Flags().StringVar(&o.metricsFile, "metrics-file", "", "leave metrics in this file (*.prom) for node_exporter, in a dry run too; instead of METRICS_FILE")
	c.Flags().StringVar(&o.push, "push", "", "leave metrics at this Pushgateway (http://host:port), in a dry run too; a URL with a password belongs in PUSH_URL or PUSH_URL_FILE")
	return c
}

func (a *app) once(ctx context.Context, options onceOptions) (err error) {
	format, err := a.format()
	if err != nil {
		return err
	}
	config, log, err := a.load(options.overrides()...)
	if err != nil {
		return err
	}
	if err := options.findOutlets(config); err != nil {
		return err
	}
	if err := options.limit(&config.Jobs.Trim); err != nil {
		return err
	}
	config.Jobs.Cleanup.Force = options.force
	chosen := options.chosen(config.Jobs.Enabled())
	process := jobs.Process{Version: a.Version, Revision: a.Revision, DryRun: a.dryRun, Once: chosen}
	o := oneShot{observers: observers{jobs.NewMetrics(config.Jobs, process)}, endings: make(metrics.Endings)}
	o.observers.ConfigReloaded(true)
	a.onDroppedLines(o.observers.LogDropped)
	// That Redis is away is worth knowing too.
	defer func() { err = o.leaveMetrics(ctx, options, log, err) }()
	screen := a.live(a.Stderr)
	defer screen.Done()
	log = a.logger(config, screen)
	// The one that works.
	o.observers.Leader(true)
	began := time.Now()
	b, err := a.openOnce(ctx, config, log, a.dryRun, o.observers.RedisError)
	if err != nil {
		if ctx.Err() != nil && time.Since(began) < config.Buffer.Connection.Timeout {
			// Told to stop before an answer was due, it knows nothing of Redis.
			options.file, options.gateway = "", nil
		}
		o.broken(chosen, err)
		return err
	}
	defer func() { _ = b.Close() }()
	chosenStreams := b
	if options.patterns != nil {
		chosenStreams = b.Only(options.patterns)
	}
	o.env = jobs.Env{
		Options: config.Jobs, Buffer: chosenStreams, Metrics: o.observers.Metrics, DryRun: a.dryRun, Unwatched: !options.keepsMetrics(), Log: log,
		IgnorePause: options.ignorePause, History: newHistory(config, b, o.observers, log),
	}
	results := o.doAll(ctx, chosen, screen)
	if options.keepsMetrics() {
		o.noteRedis(ctx, b)
	}
	screen.Done()
	a.remark(ctx, b, log, chosenUses(config, names(results)), results, options)
	out := report.Once{Version: a.Version, Redis: redisReport(b), DryRun: a.dryRun, Jobs: results}
	return errors.Join(report.WriteOnce(a.screen(), format, out), o.outcome)
}

// remark logs what all results together say of the connection: that rights are
// missing, or that nothing was found, and which patterns chose nothing.
func (a *app) remark(ctx context.Context, b *buffer.Buffer, log *slog.Logger, u buffer.Uses, results []jobs.Result, o onceOptions) {
	if slices.ContainsFunc(results, func(r jobs.Result) bool { return r.Outcome().Class == redisconn.ClassAuth }) {
		log.Error("rights missing", "rights", missingRights(ctx, b, u))
	}
	switch unmatched := b.NoMatch(o.unmatched(ctx, b)); {
	case jobs.NothingFound(results) && unmatched == "":
		log.Warn("nothing found", "reason", b.Absence(ctx))
	case jobs.NothingFound(results):
		log.Warn("nothing found", "reason", unmatched)
	case unmatched != "":
		log.Warn("some patterns match nothing", "reason", unmatched)
	}
}

func names(results []jobs.Result) (all []string) {
	for _, r := range results {
		all = append(all, r.Outcome().Job)
	}
	return all
}

// oneShot does jobs one time.
type oneShot struct {
	env       jobs.Env
	observers observers
	// endings are how the runs ended.
	endings metrics.Endings
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
	ending := metrics.Good
	switch {
	case err != nil:
		ending, o.outcome = metrics.Broken, errFailed
		if result.Failed() > 0 {
			ending = metrics.Flawed
		}
		o.env.Log.Error("job failed", "job", job.Name, "class", string(redisconn.ClassOf(err)), "error", err)
	case jobs.Idle(result):
		ending = metrics.Idle
	case result.Stopped() != "" && !o.env.DryRun && o.outcome == nil:
		o.outcome = errBrake
	}
	o.endings[job.Name] = ending
	o.observers.ran(metrics.Run{
		Job: job.Name, Result: resultOf(ending, result.Outcome().Paused != ""), Took: time.Since(started), Paused: result.Outcome().Paused != "",
	}, err)
	return result
}

// resultOf is what metrics call the ending of a run.
func resultOf(ending metrics.Ending, paused bool) string {
	switch {
	case ending != metrics.Good && ending != metrics.Idle:
		return metrics.ResultError
	case paused:
		return metrics.ResultSkipped
	}
	return metrics.ResultOK
}

// broken notes that no job could begin.
func (o *oneShot) broken(chosen []jobs.Job, err error) {
	for _, job := range chosen {
		o.endings[job.Name] = metrics.Broken
		o.observers.ran(metrics.Run{Job: job.Name, Result: metrics.ResultError}, err)
	}
}

// noteRedis notes whether Redis answers at the end of the run. One that was told
// to stop asks no more: Redis did answer when it began.
func (o *oneShot) noteRedis(ctx context.Context, b *buffer.Buffer) {
	if ctx.Err() != nil {
		o.observers.RedisUp(true)
		return
	}
	o.observers.ping(ctx, b)
}

// leaveMetrics hands the metrics over where they are asked for. If that fails
// the run has failed, whatever else became of it; but it is done.
func (o *oneShot) leaveMetrics(ctx context.Context, options onceOptions, log *slog.Logger, err error) error {
	var inFile, pushed error
	if options.file != "" {
		if inFile = o.observers.WriteFile(options.file, o.endings); inFile != nil {
			log.Error("cannot write metrics file", "error", inFile)
		}
	}
	if options.gateway != nil {
		// A run that was told to stop tells of it, too.
		if pushed = o.observers.Push(context.WithoutCancel(ctx), *options.gateway, o.endings); pushed != nil {
			log.Error("cannot push metrics", "error", pushed)
		}
	}
	if (inFile != nil || pushed != nil) && (err == nil || errors.Is(err, errBrake)) {
		return errFailed
	}
	return err
}
