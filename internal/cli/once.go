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
	"github.com/streamkeeper/streamkeeper/internal/escape"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/secret"
	"github.com/streamkeeper/streamkeeper/internal/settings"
	"github.com/streamkeeper/streamkeeper/metrics"
	"github.com/streamkeeper/streamkeeper/report"
	"github.com/streamkeeper/streamkeeper/trim"
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
	c.Flags().BoolVar(&o.force, "force", false, "override the mass-deletion guard")
	c.Flags().BoolVar(&o.ignorePause, "ignore-pause", false, "do what is paused, too")
	c.Flags().StringArrayVar(&o.streams, "stream", nil, "trim the streams that this pattern matches, no others; may be repeated")
	for _, l := range onceLimits {
		c.Flags().String(l.flag, "", l.usage)
	}
	c.Flags().StringVar(&o.metricsFile, "metrics-file", "", "leave metrics in this file (*.prom) for node_exporter, in a dry run too; instead of METRICS_FILE")
	c.Flags().StringVar(&o.push, "push", "", "leave metrics at this Pushgateway (http://host:port), in a dry run too; a URL with a password belongs in PUSH_URL or PUSH_URL_FILE")
	return c
}

// onceOptions are the arguments and flags of once.
type onceOptions struct {
	names []string
	// force overrides the guard, and ignorePause pauses.
	force, ignorePause bool
	// streams are the patterns of those that are trimmed, as they were given.
	streams  []string
	patterns buffer.Patterns
	// limits are the flags of limits that were given, by their settings.
	limits map[string]string
	// metricsFile and push are flags.
	metricsFile, push string
	// file and gateway are where metrics are left.
	file    string
	gateway *metrics.Gateway
}

// overrides are the flags that are settings, too.
func (o *onceOptions) overrides() []settings.Override {
	all := []settings.Override{
		{Name: "METRICS_FILE", Text: o.metricsFile, Origin: "--metrics-file"},
		{Name: "PUSH_URL", Text: o.push, Origin: "--push"},
	}
	for _, l := range onceLimits {
		if text, given := o.limits[l.setting]; given {
			all = append(all, settings.Override{Name: l.setting, Text: text, Origin: "--" + l.flag})
		}
	}
	return all
}

// onceLimits are the flags that are limits for one run.
var onceLimits = []struct{ flag, setting, usage string }{
	{"max-length", "TRIM_MAX_LENGTH", "entries to keep in these streams in this run; 0 for no limit"},
	{"max-age", "TRIM_MAX_AGE", "age past which entries go in this run, such as 1h or 7d; 0 for no limit"},
	{"max-bytes", "TRIM_MAX_BYTES", "memory that the entries of each may take in this run, such as 512MiB; 0 for no limit"},
}

// checkLimits takes the limits of this run in, and says what is wrong with them.
func (o *onceOptions) checkLimits(given func(flag string) bool, value func(flag string) string) error {
	o.limits = make(map[string]string)
	for _, l := range onceLimits {
		if !given(l.flag) {
			continue
		}
		if len(o.streams) == 0 {
			return fmt.Errorf("--%s without --stream; allowed: once trim --stream PATTERN ('*' for all streams)", l.flag)
		}
		o.limits[l.setting] = value(l.flag)
	}
	if len(o.streams) > 0 && !slices.Equal(o.names, []string{jobs.Trim}) {
		return errors.New("--stream is for trim alone; allowed: once trim --stream PATTERN")
	}
	for _, text := range o.streams {
		p, err := buffer.ParsePattern(escape.Bytes(text))
		if err != nil {
			return err
		}
		o.patterns = append(o.patterns, p)
	}
	return nil
}

// limit sets the limits of this run in the options of trim. A run for some streams
// does not relieve the memory, which is a matter of all.
func (o *onceOptions) limit(t *jobs.TrimOptions) error {
	if o.patterns == nil {
		return nil
	}
	t.OneTime, t.Pressure = true, 0
	var l trim.Limits
	global := t.Policies.Default // which the flags have set
	for setting := range o.limits {
		switch setting {
		case "TRIM_MAX_LENGTH":
			l.MaxLength = &global.MaxLength
		case "TRIM_MAX_AGE":
			l.MaxAge = &global.MaxAge
		case "TRIM_MAX_BYTES":
			l.MaxBytes = &global.MaxBytes
		}
	}
	limited, err := t.Policies.Limited(l)
	if err != nil {
		return settings.ConfigErrors{fmt.Sprintf("the limits of this run: %v", err)}
	}
	t.Policies = limited
	return nil
}

// findOutlets finds out where metrics are left. What is wrong with a file is a
// fault of the configuration, and does not repeat what stands in it.
func (o *onceOptions) findOutlets(config Options) error {
	o.file = config.MetricsFile
	text, name := config.PushURL, "PUSH_URL"
	if text == "" && config.PushURLFile != "" {
		var err error
		name = "PUSH_URL_FILE"
		if text, err = secret.Read(config.PushURLFile); err != nil {
			return settings.ConfigErrors{fmt.Sprintf("%s_%s=%q: %v", settings.Prefix, name, config.PushURLFile, err)}
		}
		if text = strings.TrimSpace(text); text == "" {
			return settings.ConfigErrors{fmt.Sprintf("%s_%s=%q: the file is empty; allowed: one with the URL of a Pushgateway", settings.Prefix, name, config.PushURLFile)}
		}
	}
	if text == "" {
		return nil
	}
	g, err := metrics.ParseGateway(text)
	if err != nil {
		return settings.ConfigErrors{fmt.Sprintf("%s_%s: %v", settings.Prefix, name, err)}
	}
	o.gateway = &g
	return nil
}

// keepsMetrics reports whether anybody asks for the metrics of the run.
func (o *onceOptions) keepsMetrics() bool { return o.file != "" || o.gateway != nil }

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
	process := jobs.Process{Version: a.Version, Revision: a.revision(), DryRun: a.dryRun, Once: chosen}
	o := oneShot{meters: meters{jobs.NewMetrics(config.Jobs, process)}, endings: make(metrics.Endings)}
	o.meters.ConfigReloaded(true)
	a.onDroppedLines(o.meters.LogDropped)
	// That Redis is away is worth knowing too.
	defer func() { err = o.leaveMetrics(ctx, options, log, err) }()
	screen := a.live(a.Stderr)
	defer screen.Done()
	log = a.logger(config, screen)
	// The one that works.
	o.meters.Leader(true)
	b, err := a.openOnce(ctx, config, log, a.dryRun, o.meters.RedisError)
	if err != nil {
		for _, job := range chosen {
			o.endings[job.Name] = metrics.Broken
			o.meters.ran(metrics.Run{Job: job.Name, Result: metrics.ResultError}, err)
		}
		return err
	}
	defer func() { _ = b.Close() }()
	chosenStreams := b
	if options.patterns != nil {
		chosenStreams = b.Only(options.patterns)
	}
	o.env = jobs.Env{
		Options: config.Jobs, Buffer: chosenStreams, Metrics: o.meters.Metrics, DryRun: a.dryRun, Unwatched: !options.keepsMetrics(), Log: log,
		IgnorePause: options.ignorePause, History: newHistory(config, b, o.meters, log),
	}
	results := o.doAll(ctx, chosen, screen)
	if options.keepsMetrics() {
		o.meters.ping(ctx, b)
	}
	screen.Done()
	a.remark(ctx, b, log, chosenUses(config, names(results)), results)
	out := report.Once{Version: a.Version, Redis: redisReport(b), DryRun: a.dryRun, Jobs: results}
	return errors.Join(report.WriteOnce(a.screen(), format, out), o.outcome)
}

// remark logs what all results together say of the connection: that rights are
// missing, or that nothing was found.
func (a *app) remark(ctx context.Context, b *buffer.Buffer, log *slog.Logger, u buffer.Uses, results []jobs.Result) {
	found, failed, denied := int64(0), false, false
	for _, r := range results {
		found += r.Found()
		failed = failed || !r.Outcome().OK
		denied = denied || r.Outcome().Class == redisconn.ClassAuth
	}
	if denied {
		log.Error("rights missing", "rights", missingRights(ctx, b, u))
	}
	if found == 0 && !failed && len(results) > 0 {
		log.Warn("nothing found", "reason", b.Absence(ctx))
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
	env    jobs.Env
	meters meters
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
	case result.Stopped() != "" && !o.env.DryRun && o.outcome == nil:
		o.outcome = errBrake
	}
	o.endings[job.Name] = ending
	o.meters.ran(metrics.Run{
		Job: job.Name, Result: resultOf(ending, result.Outcome().Paused != ""), Took: time.Since(started), Paused: result.Outcome().Paused != "",
	}, err)
	return result
}

// resultOf is what metrics call the ending of a run.
func resultOf(ending metrics.Ending, paused bool) string {
	switch {
	case ending != metrics.Good:
		return metrics.ResultError
	case paused:
		return metrics.ResultSkipped
	}
	return metrics.ResultOK
}

// leaveMetrics hands the metrics over where they are asked for. If that fails
// the run has failed, whatever else became of it; but it is done.
func (o *oneShot) leaveMetrics(ctx context.Context, options onceOptions, log *slog.Logger, err error) error {
	var inFile, pushed error
	if options.file != "" {
		if inFile = o.meters.WriteFile(options.file, o.endings); inFile != nil {
			log.Error("cannot write metrics file", "error", inFile)
		}
	}
	if options.gateway != nil {
		// A run that was told to stop tells of it, too.
		if pushed = o.meters.Push(context.WithoutCancel(ctx), *options.gateway, o.endings); pushed != nil {
			log.Error("cannot push metrics", "error", pushed)
		}
	}
	if (inFile != nil || pushed != nil) && (err == nil || errors.Is(err, errBrake)) {
		return errFailed
	}
	return err
}
