package cli

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/schedule"
)

// daemonOptions are what distinguishes run from demo.
type daemonOptions struct {
	dryRun bool
	// spread scatters the first runs over a few seconds.
	spread bool
	// anyPort takes a free port if the one that is asked for is taken.
	anyPort  bool
	onListen func(net.Addr)
	// listener is who else hears of what the jobs do.
	listener jobs.Listener
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
	scheduler *schedule.Scheduler
	news      *news
}

func (a *app) newDaemon(ctx context.Context, config Options, log *slog.Logger, o daemonOptions) (*daemon, error) {
	d := &daemon{
		app: a, options: config, o: o, log: log, started: time.Now(),
		address: config.Buffer.Connection.Redacted(), meters: meters{jobs.NewMetrics(config.Jobs, a.Version, a.revision())},
	}
	d.news = newNews(d.meters)
	a.onDroppedLines(d.meters.LogDropped)
	var err error
	if d.buffer, err = a.open(ctx, config, log, o.dryRun, d.meters.RedisError); err != nil {
		return nil, err
	}
	options := schedule.Options{
		Jobs: d.jobs(), Grace: config.ShutdownGrace - 2*shareOf(config.ShutdownGrace), Log: log,
		OnRun: d.onRun, OnLeader: d.news.lead,
		Class: func(err error) string { return string(redisconn.ClassOf(err)) },
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

// jobs are the enabled jobs, all of which only the leader does.
func (d *daemon) jobs() (all []schedule.Job) {
	env := jobs.Env{
		Options: d.options.Jobs, Buffer: d.buffer, Metrics: d.meters.Metrics,
		DryRun: d.o.dryRun, Listener: d.o.listener, Log: d.log,
	}
	for _, job := range jobs.All() {
		when := job.When(d.options.Jobs)
		if !when.Enabled {
			continue
		}
		runner := jobs.NewRunner(env, job)
		run := func(ctx context.Context) error { return d.run(ctx, job.Name, runner) }
		all = append(all, schedule.Job{Name: job.Name, Schedule: when.Schedule, Run: run, Leader: true})
	}
	return all
}

// run does a job once and notes what it did.
func (d *daemon) run(ctx context.Context, name string, runner *jobs.Runner) error {
	result, err := runner.Run(ctx)
	result.LogTo(d.log.With("job", name, "dry_run", d.o.dryRun), d.o.dryRun)
	if err == nil && name == jobs.Cleanup {
		d.examine(ctx)
	}
	d.news.ran(name, result, err)
	return err
}

func (d *daemon) onRun(o schedule.Outcome) {
	d.meters.ran(o.Job, string(o.Result), o.Duration, o.Err)
	if o.Err != nil {
		d.news.failed(o.Job, o.Err)
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
