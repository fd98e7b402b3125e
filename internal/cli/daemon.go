package cli

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/inspect"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/metrics"
	"github.com/streamkeeper/streamkeeper/schedule"
	"github.com/streamkeeper/streamkeeper/trim"
	"github.com/streamkeeper/streamkeeper/web"
)

// daemonOptions are what distinguishes run from demo.
type daemonOptions struct {
	dryRun bool
	// spread scatters the first runs over a few seconds.
	spread bool
	// anyPort takes a free port if the one that is asked for is taken.
	anyPort  bool
	onListen func(net.Addr)
	// Who else hears of what the jobs do; nil for nobody.
	audience  audience
	onFigures func(metrics.Snapshot)
}

// daemon is the rooms, wired together.
type daemon struct {
	app     *app
	options Options
	o       daemonOptions
	log     *slog.Logger
	started time.Time
	address string

	buffer    *buffer.Buffer
	meters    meters
	reader    *metrics.Reader
	trimmer   *trim.Trimmer
	cleaner   *cleanup.Cleaner
	inspector *inspect.Inspector
	scheduler *schedule.Scheduler
	recent    web.Recent

	mu sync.Mutex
	// What the last runs did, for the page.
	summaries map[string]string
	cleaned   cleanup.Report
	cleanedAt time.Time
	pending   []cleanup.Action
	used, max int64
}

func (a *app) newDaemon(ctx context.Context, config Options, log *slog.Logger, o daemonOptions) (*daemon, error) {
	d := &daemon{
		app: a, options: config, o: o, log: log, started: time.Now(),
		address: config.Buffer.Connection.Redacted(), summaries: make(map[string]string),
	}
	d.meters = a.newMeters(config.Jobs, o.audience)
	var err error
	if d.buffer, err = a.open(ctx, config, log, o.dryRun, d.meters.RedisError); err != nil {
		return nil, err
	}
	d.reader = metrics.NewReader(d.buffer, d.meters.Metrics)
	d.newRooms(config.Jobs)
	options := schedule.Options{
		Jobs: d.jobs(), Grace: config.ShutdownGrace, Log: log,
		OnRun: d.onRun, OnLeader: d.meters.leads,
		Class: func(err error) string { return string(buffer.ClassOf(err)) },
	}
	if o.spread {
		options.Spread = schedule.DefaultSpread
	}
	// A dry run writes nothing, and so holds no lease.
	if config.LeaseTTL > 0 && !o.dryRun {
		options.Lease, options.LeaseTTL = lease{d.buffer.Lease()}, config.LeaseTTL
	}
	d.scheduler, err = schedule.New(options)
	return d, err
}

// newRooms makes the rooms that do the jobs, and lets the metrics hear of it.
func (d *daemon) newRooms(o jobs.Options) {
	trimOptions := o.Trim.Options
	trimOptions.Log = d.log.With("job", jobs.Trim)
	trimOptions.Budget = period(o.Trim.Schedule)
	d.meters.onTrim(&trimOptions)
	d.trimmer = trim.New(d.buffer, trimOptions)

	cleanupOptions := o.Cleanup.Options
	cleanupOptions.Log = d.log.With("job", jobs.Cleanup)
	d.meters.onCleanup(&cleanupOptions)
	d.cleaner = cleanup.New(d.buffer, cleanupOptions)

	inspectOptions := o.Inspect.Options
	inspectOptions.Log = d.log.With("job", jobs.Inspect)
	d.meters.onInspect(&inspectOptions)
	d.inspector = inspect.New(d.buffer, inspectOptions)
}

// jobs are the enabled jobs, all of which only the leader does.
func (d *daemon) jobs() []schedule.Job {
	o := d.options.Jobs
	all := []schedule.Job{{Name: jobs.Metrics, Schedule: o.Metrics.Schedule, Run: d.read, Leader: true}}
	if o.Trim.Enabled {
		all = append(all, schedule.Job{Name: jobs.Trim, Schedule: o.Trim.Schedule, Run: d.trim, Leader: true})
	}
	if o.Cleanup.Enabled {
		all = append(all, schedule.Job{Name: jobs.Cleanup, Schedule: o.Cleanup.Schedule, Run: d.cleanup, Leader: true})
	}
	if o.Inspect.Enabled {
		all = append(all, schedule.Job{Name: jobs.Inspect, Schedule: o.Inspect.Schedule, Run: d.inspect, Leader: true})
	}
	return all
}

// period is the time between two runs of a schedule that is known to be right.
func period(spec string) time.Duration {
	s, err := schedule.ParseSchedule(spec)
	if err != nil {
		return 0
	}
	first := s.Next(time.Now().UTC())
	return s.Next(first).Sub(first)
}

func (d *daemon) trim(ctx context.Context) error {
	d.meters.TrimStarted()
	run := d.trimmer.Run
	if d.o.dryRun {
		run = func(ctx context.Context) (trim.Report, error) { return d.trimmer.Plan(ctx, func(trim.Action) {}) }
	}
	started := time.Now()
	r, err := run(ctx)
	summary := fmt.Sprintf("%d of %d streams trimmed, %d entries removed", r.StreamsTrimmed, r.Streams, r.EntriesRemoved)
	if r.Left > 0 {
		summary += fmt.Sprintf(", %d streams left to the next run", r.Left)
	}
	if r.Pressure != "" {
		summary += "; " + r.Pressure
	}
	d.log.Info("trimmed", "job", jobs.Trim, "streams", r.Streams, "streams_trimmed", r.StreamsTrimmed,
		"entries_removed", r.EntriesRemoved, "errors", r.Errors, "left", r.Left, "duration", time.Since(started), "dry_run", d.o.dryRun)
	return d.ended(jobs.Trim, summary, r.Errors, err)
}

func (d *daemon) cleanup(ctx context.Context) error {
	started := time.Now()
	var examples []cleanup.Action
	run := d.cleaner.Run
	if d.o.dryRun {
		run = func(ctx context.Context) (cleanup.Report, error) {
			return d.cleaner.Plan(ctx, func(a cleanup.Action) {
				if len(examples) < 10 {
					examples = append(examples, a)
				}
			})
		}
	}
	r, err := run(ctx)
	d.log.Info("cleaned up", "job", jobs.Cleanup, "sessions", r.Sessions, "sessions_expired", r.SessionsExpired, "sessions_abandoned", r.SessionsAbandoned,
		"sessions_malformed", r.SessionsMalformed, "streams", r.Streams, "streams_retired", r.StreamsRetired, "streams_restored", r.StreamsRestored,
		"names_dropped", r.NamesDropped, "errors", r.Errors, "brake", r.Brake, "duration", time.Since(started), "dry_run", d.o.dryRun)
	if r.Brake != "" {
		d.log.Warn("the brake stopped the clean-up: nothing was removed", "job", jobs.Cleanup, "why", r.Brake, "to_force", "streamkeeper once --force cleanup")
	}
	d.meters.cleaned(r, d.o.dryRun, err)
	if r.Held != nil {
		examples = r.Held.Examples
	}
	if err == nil {
		d.mu.Lock()
		d.cleaned, d.cleanedAt, d.pending = r, time.Now(), examples
		d.mu.Unlock()
	}
	summary := fmt.Sprintf("%d of %d sessions expired, %d of %d streams retired", r.SessionsExpired, r.Sessions, r.StreamsRetired, r.Streams)
	if r.SessionsAbandoned > 0 {
		summary += fmt.Sprintf(", %d marked as abandoned", r.SessionsAbandoned)
	}
	if r.Brake != "" {
		summary = "stopped by the brake: " + r.Brake
	}
	return d.ended(jobs.Cleanup, summary, r.Errors, err)
}

func (d *daemon) inspect(ctx context.Context) error {
	d.meters.InspectStarted()
	started := time.Now()
	r, err := d.inspector.Run(ctx, func(inspect.Message) {})
	d.log.Info("inspected", "job", jobs.Inspect, "messages", r.Messages, "ok", r.OK, "warn", r.Warn, "invalid", r.Invalid,
		"bytes", r.Bytes, "errors", r.Errors, "duration", time.Since(started))
	return d.ended(jobs.Inspect, fmt.Sprintf("%d messages: %d ok, %d with warnings, %d invalid", r.Messages, r.OK, r.Warn, r.Invalid), r.Errors, err)
}

// read reads the figures of the streams, and how full Redis is if it says so.
func (d *daemon) read(ctx context.Context) error {
	used, limit, err := d.meters.figures(ctx, d.reader, d.buffer)
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.used, d.max = used, limit
	d.mu.Unlock()
	if d.o.onFigures != nil {
		d.o.onFigures(d.meters.Snapshot())
	}
	return nil
}

// ended notes what a run did, and fails it if single items failed.
func (d *daemon) ended(job, summary string, failed int64, err error) error {
	d.mu.Lock()
	d.summaries[job] = summary
	d.mu.Unlock()
	if err == nil && failed > 0 {
		return fmt.Errorf("%d items failed", failed)
	}
	return err
}

func (d *daemon) onRun(o schedule.Outcome) {
	d.meters.ran(o.Job, string(o.Result), o.Duration, o.Err)
	if o.Err != nil {
		d.recent.Add(time.Now(), o.Job, o.Err)
	}
}

// metricsHandler asks Redis for a sign of life at each scrape.
func (d *daemon) metricsHandler() http.Handler {
	handler := d.meters.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.meters.ping(r.Context(), d.buffer)
		handler.ServeHTTP(w, r)
	})
}

// hostname tells replicas apart on the page.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}
