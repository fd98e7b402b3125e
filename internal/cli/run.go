package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/streamkeeper/streamkeeper/internal/rescue"
	"github.com/streamkeeper/streamkeeper/internal/settings"
	"github.com/streamkeeper/streamkeeper/schedule"
	"github.com/streamkeeper/streamkeeper/web"
)

func (a *app) runCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon: every enabled job on its schedule, until SIGTERM or SIGINT",
		Long: "run does every enabled job on its schedule, and serves the status page, until SIGTERM or SIGINT.\n" +
			"It goes on trying where Redis cannot be used, and says why in /health. SIGHUP reads the policy file again.",
		Example: "  STREAMKEEPER_REDIS_URL=redis://redis:6379/0 streamkeeper run\n  streamkeeper run --dry-run",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			// First of all: until then it would end the process.
			reload := make(chan os.Signal, 1)
			signal.Notify(reload, syscall.SIGHUP)
			defer signal.Stop(reload)
			config, log, err := a.load()
			if err != nil {
				return err
			}
			if ignored := config.ofOnceAlone(); len(ignored) > 0 {
				log.Warn("settings without effect", "settings", ignored,
					"reason", "once alone leaves its metrics somewhere; the daemon has them under /metrics")
			}
			// Whoever reads the log may end before the daemon does: up to the last line,
			// which is written after this.
			signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
			return a.serve(c.Context(), config, log, daemonOptions{dryRun: a.dryRun, spread: true, reload: reload})
		},
	}
	a.redisFlag(c)
	a.dryRunFlag(c)
	return c
}

// ofOnceAlone are the settings in use that mean nothing to the daemon.
func (o Options) ofOnceAlone() (names []string) {
	for _, s := range []struct{ name, value string }{
		{"METRICS_FILE", o.MetricsFile}, {"PUSH_URL", o.PushURL}, {"PUSH_URL_FILE", o.PushURLFile},
	} {
		if s.value != "" {
			names = append(names, s.name)
		}
	}
	return names
}

// serve runs the daemon until ctx ends, and then stops gracefully.
func (a *app) serve(ctx context.Context, config Options, log *slog.Logger, o daemonOptions) error {
	a.patience.Store(int64(config.ShutdownGrace))
	d := a.newDaemon(config, log, o)
	group, ctx := errgroup.WithContext(ctx)
	// HTTP outlives the jobs, so that /health can say that they are stopping.
	httpCtx, stopHTTP := context.WithCancel(context.WithoutCancel(ctx))
	defer stopHTTP()
	if address := config.Listen; address != "" {
		listener, err := web.Listen(ctx, address)
		if err != nil && o.anyPort {
			listener, err = web.Listen(ctx, "127.0.0.1:0")
		}
		if err != nil {
			return fmt.Errorf("%s_LISTEN=%q: %w", settings.Prefix, address, err)
		}
		log.Info("listening", "address", listener.Addr().String())
		if o.onListen != nil {
			o.onListen(listener.Addr())
		}
		server := web.New(web.Options{
			Version: a.Version, Status: d.status, Stream: d.stream, Metrics: d.metricsHandler(), Log: log,
			Alive: d.alive, Patience: shareOf(config.ShutdownGrace),
		})
		guarded(group, func() error { return server.Serve(httpCtx, listener) })
	}
	if !o.dryRun {
		guarded(group, func() error { d.noteInstance(ctx); return nil })
	}
	guarded(group, func() error {
		defer stopHTTP()
		err := d.work(ctx)
		if errors.Is(err, schedule.ErrGraceExceeded) {
			return fmt.Errorf("stopping: %w", err)
		}
		return err
	})
	guarded(group, func() error {
		d.watchRights(ctx)
		return nil
	})
	guarded(group, func() error {
		d.watchPauses(ctx)
		return nil
	})
	guarded(group, func() error {
		d.watchPolicies(ctx)
		return nil
	})
	log.Info("started", "version", a.Version, "redis", d.address, "jobs", config.Jobs.Enabled(),
		"limits", config.Jobs.Limits(), "dry_run", o.dryRun)
	err := group.Wait()
	log.Info("stopped")
	return err
}

// guarded makes an error of a panic: the process then ends as after another one,
// with the lease given back.
func guarded(group *errgroup.Group, f func() error) {
	group.Go(func() error { return rescue.Call(f) })
}

// shareOf is the part of the grace that each of HTTP and the last words gets.
func shareOf(grace time.Duration) time.Duration { return min(time.Second, grace/8) }
