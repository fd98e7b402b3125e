package cli

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/settings"
	"github.com/streamkeeper/streamkeeper/metrics"
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
	// reload asks for the policies to be read again; nil for never.
	reload <-chan os.Signal
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

	observers observers
	policies  *jobs.LivePolicies
	news      *news
	glances   *glances
	removals  *removals
	// denials says that the user was denied something, whoever asked for it.
	denials chan struct{}
	// now is the working part, nil until Redis was reached.
	now atomic.Pointer[working]

	mu sync.Mutex
	// trouble is why Redis could not be reached at the last try, and denied all that
	// the user may not and should.
	trouble error
	denied  string
	// faulty is why the file of the policies could not be read again.
	faulty string
	// paused is what was paused at the last look.
	paused pauseBoard
}

// working is what there is once Redis was reached.
type working struct {
	buffer    *buffer.Buffer
	scheduler *schedule.Scheduler
}

func (a *app) newDaemon(config Options, log *slog.Logger, o daemonOptions) *daemon {
	d := &daemon{
		app: a, options: config, o: o, log: log, started: time.Now(),
		address:  config.Buffer.Connection.Redacted(),
		denials:  make(chan struct{}, 1),
		policies: jobs.NewLivePolicies(config.Jobs.Trim.Policies),
	}
	d.observers = observers{jobs.NewMetrics(config.Jobs, jobs.Process{
		Version: a.Version, Revision: a.Revision, DryRun: o.dryRun, Policies: d.policies,
	})}
	d.observers.ConfigReloaded(true)
	d.news = newNews(d.observers)
	d.glances, d.removals = newGlances(), newRemovals()
	a.onDroppedLines(d.observers.LogDropped)
	return d
}

// Pauses between two tries to reach Redis.
const (
	firstPause   = 500 * time.Millisecond
	longestPause = 10 * time.Second
)

// reach opens the buffer, and tries again until that works or ctx ends: what is
// wrong may be mended on the side of Redis. Only our own configuration, if it is
// wrong from the start, is an error.
func (d *daemon) reach(ctx context.Context, lines *redisconn.Lines) (*buffer.Buffer, error) {
	said := ""
	options := d.options
	options.Buffer.Connection.Lines = lines
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		b, err := d.app.open(ctx, options, d.log, d.o.dryRun, d.onRedisError)
		if ctx.Err() != nil && err != nil {
			return nil, ctx.Err()
		}
		d.noteTrouble(err)
		var ours settings.ConfigErrors
		if err == nil || errors.As(err, &ours) && said == "" {
			return b, err
		}
		level := slog.LevelDebug
		if text := err.Error(); text != said {
			said, level = text, slog.LevelWarn
		}
		d.log.Log(ctx, level, "cannot use Redis, trying again", "class", string(redisconn.ClassOf(err)), "error", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (d *daemon) noteTrouble(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trouble = err
}

// work reaches Redis and does the jobs until ctx ends.
func (d *daemon) work(ctx context.Context) error {
	// Until the jobs begin nothing is worth waiting for; then what is under way may
	// end within the grace, and the lease is given back.
	lines, release := linesUntil(ctx)
	b, err := d.reach(ctx, lines)
	if ctx.Err() != nil && err != nil { // told to stop
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()
	scheduler, err := d.newScheduler(b)
	if err != nil {
		return err
	}
	server := b.Server()
	d.log.Info("connected", "redis", d.address, "redis_version", server.Version, "mode", server.Mode)
	if err := b.Refusal(ctx); err != nil {
		d.log.Warn("nothing will be removed", "class", string(redisconn.ClassOf(err)), "error", err)
	}
	release()
	d.now.Store(&working{b, scheduler})
	err = scheduler.Run(ctx)
	d.forgetInstance(ctx, b)
	return err
}

// alive says why the scheduler can do nothing any more; nil if it can, and before
// Redis was reached.
func (d *daemon) alive() error {
	if now := d.now.Load(); now != nil {
		return now.scheduler.Alive()
	}
	return nil
}

func (d *daemon) newScheduler(b *buffer.Buffer) (*schedule.Scheduler, error) {
	config := d.options
	options := schedule.Options{
		Jobs: d.jobs(b), Grace: config.ShutdownGrace - 2*shareOf(config.ShutdownGrace), Log: d.log,
		OnRun: d.onRun, OnLeader: d.news.lead, Name: instanceName(),
		Class: func(err error) string { return string(redisconn.ClassOf(err)) },
	}
	if d.o.spread {
		options.Spread = schedule.DefaultSpread
	}
	if d.standsForElection() {
		options.Lease, options.LeaseTTL = lease{b.Lease()}, config.LeaseTTL
	}
	return schedule.New(options)
}

// standsForElection reports whether replicas share a lease. A dry run writes nothing, and
// so holds none.
func (d *daemon) standsForElection() bool { return d.options.LeaseTTL > 0 && !d.o.dryRun }

// jobs are the enabled jobs, all of which only the leader does.
func (d *daemon) jobs(b *buffer.Buffer) (all []schedule.Job) {
	listener := d.o.listener
	listener.Cleanup = &judge{news: d.news}
	env := jobs.Env{
		Options: d.options.Jobs, Buffer: b, Metrics: d.observers.Metrics, Policies: d.policies,
		DryRun: d.o.dryRun, Listener: listener, Log: d.log, History: newHistory(d.options, b, d.observers, d.log),
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
	if err == nil && name == d.counts() {
		d.noteAbsence(ctx, result.Found() > 0)
	}
	if err == nil && result.Outcome().Paused != "" {
		return schedule.ErrPaused
	}
	return err
}

// counts is the job that knows best whether there is anything to look after.
func (d *daemon) counts() string {
	if d.options.Jobs.Cleanup.Enabled {
		return jobs.Cleanup
	}
	return jobs.Trim
}

// noteAbsence logs once where the buffer was looked for when there is none.
func (d *daemon) noteAbsence(ctx context.Context, found bool) {
	text := ""
	if now := d.now.Load(); now != nil && !found {
		text = now.buffer.Absence(ctx)
	}
	if d.news.absent(text) {
		d.log.Warn("nothing found", "reason", text)
	}
}

// uses are what this daemon needs.
func (d *daemon) uses() buffer.Uses {
	if d.o.dryRun {
		return uses(d.options).OnlyReading()
	}
	return uses(d.options)
}

func (d *daemon) onRun(o schedule.Outcome) {
	d.observers.ran(metrics.Run{Job: o.Job, Result: string(o.Result), Took: o.Duration, Paused: o.Paused}, o.Err)
	if o.Err != nil {
		d.news.failed(o.Job, o.Err)
	}
}

// watchPolicies reads the file of the policies again when it changes.
func (d *daemon) watchPolicies(ctx context.Context) {
	f := &policyFile{
		path: d.options.Jobs.Trim.PoliciesFile, live: d.policies, log: d.log, patience: reloadEvery,
		load: func() (Options, error) {
			o, _, err := d.app.load()
			return o, err
		},
		onReload: func(err error) {
			d.observers.ConfigReloaded(err == nil)
			d.notePolicies(err)
		},
	}
	ticker := time.NewTicker(reloadEvery)
	defer ticker.Stop()
	f.watch(ctx, ticker.C, d.o.reload)
}

// notePolicies notes how reading the file of the policies went.
func (d *daemon) notePolicies(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faulty = ""
	if err != nil {
		d.faulty = err.Error()
	}
}

// policiesError is why the file of the policies could not be read again, empty if it
// could.
func (d *daemon) policiesError() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.faulty
}

// metricsHandler asks Redis for a sign of life at each scrape.
func (d *daemon) metricsHandler() http.Handler {
	handler := d.observers.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if now := d.now.Load(); now != nil {
			d.observers.ping(r.Context(), now.buffer)
		}
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
