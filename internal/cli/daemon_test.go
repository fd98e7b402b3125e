package cli

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
	"github.com/streamkeeper/streamkeeper/metrics"
	"github.com/streamkeeper/streamkeeper/trim"
	"github.com/streamkeeper/streamkeeper/trim/sweep"
)

func TestAStoppedDaemonLeavesNoGoroutineBehind(t *testing.T) {
	s := redistest.Start(t)
	if err := s.Client.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	a := &app{Program: Program{Stdout: io.Discard, Stderr: io.Discard}}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	runs := 0
	err := a.serve(ctx, hurried(s.URL()), slog.New(slog.DiscardHandler), daemonOptions{listener: jobs.Listener{OnFigures: func(metrics.Snapshot) {
		if runs++; runs == 3 {
			stop()
		}
	}}})
	if err != nil || runs < 3 {
		t.Errorf("it ended after %d runs: %v", runs, err)
	}
}

// hurried are options under which everything happens every second.
func hurried(redisURL string) Options {
	when := jobs.When{Enabled: true, Schedule: "@every 1s"}
	return Options{
		Buffer: buffer.Options{Connection: redisconn.Connection{URL: redisURL, Timeout: time.Second}},
		Jobs: jobs.Options{
			Trim:    jobs.TrimOptions{When: when, Options: sweep.Options{Policies: trim.Policies{Default: trim.Policy{MaxLength: 100}}}},
			Cleanup: jobs.CleanupOptions{When: when},
			Inspect: jobs.InspectOptions{When: when},
			Metrics: jobs.MetricsOptions{When: when, MaxStreams: metrics.DefaultMaxStreams},
		},
		Listen:        "127.0.0.1:0",
		LeaseTTL:      time.Second,
		ShutdownGrace: 5 * time.Second,
	}
}
