// Command soak runs streamkeeper fast for a long time: jobs every second,
// streams and sessions that come and go, and a Redis that is killed now and
// then. It writes what the process takes over time to soak.csv, and fails unless
// that is at the end where it was at the beginning.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

type options struct {
	length   time.Duration
	restarts int
	out      string
}

func main() {
	var o options
	flag.DurationVar(&o.length, "for", 30*time.Minute, "how long, besides the calm before and after")
	flag.IntVar(&o.restarts, "restarts", 10, "how often Redis is killed and started again")
	flag.StringVar(&o.out, "out", "dist/soak", "folder for soak.csv and for the log of streamkeeper")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// run compares the time after the load with the time before it, and the end of
// the load with its beginning.
func run(o options) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := os.MkdirAll(o.out, 0o750); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "soak")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	server, err := startRedis(dir)
	if err != nil {
		return err
	}
	defer server.Stop()
	k, err := startInstance(ctx, dir, o.out, server.URL())
	if err != nil {
		return err
	}
	defer k.kill()
	r, err := newRecorder(filepath.Join(o.out, "soak.csv"))
	if err != nil {
		return err
	}

	before, err := r.watch(ctx, k, "before", calm)
	if err != nil {
		return err
	}
	load, err := r.load(ctx, k, server, o)
	if err != nil {
		return err
	}
	if err := r.settle(ctx, k); err != nil {
		return err
	}
	after, err := r.watch(ctx, k, "after", calm)
	if err != nil {
		return err
	}
	if err := r.close(); err != nil {
		return err
	}
	printCurve(os.Stdout, before, load, after)
	if err := k.stop(); err != nil {
		return err
	}
	return judge(before, load, after)
}

// calm is how long the process is watched with nothing to do.
const calm = 30 * time.Second

// load watches while producers come and go and Redis is killed.
func (r *recorder) load(ctx context.Context, k *instance, server *redisServer, o options) ([]sample, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return comeAndGo(ctx, server.Client) })
	group.Go(func() error { return server.killNowAndThen(ctx, o.length, o.restarts) })
	var samples []sample
	group.Go(func() error {
		defer cancel()
		var err error
		samples, err = r.watch(ctx, k, "load", o.length)
		return err
	})
	return samples, group.Wait()
}

// settle waits until what the load left has been cleaned up.
func (r *recorder) settle(ctx context.Context, k *instance) error {
	for range 12 {
		samples, err := r.watch(ctx, k, "settling", 10*time.Second)
		if err != nil {
			return err
		}
		if last := samples[len(samples)-1]; last.streams == 0 {
			return nil
		}
	}
	return fmt.Errorf("streams are left two minutes after the last producer ended; see %s", r.path)
}
