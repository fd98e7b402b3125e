package cli

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
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

// A term may end while a page is put together: after what the leader knows was read,
// and before the scheduler was asked.
func TestAPageThatSaysFollowerShowsNothingThatALeaderKnows(t *testing.T) {
	s := redistest.Start(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:busy", Values: []any{"id", "1"}}).Err())
	must(s.Client.SAdd(t.Context(), "streams", "busy").Err())
	options := hurried(s.URL())
	a := &app{Program: Program{Stdout: io.Discard, Stderr: io.Discard}}
	d := a.newDaemon(options, slog.New(slog.DiscardHandler), daemonOptions{})
	b, err := a.open(t.Context(), options, d.log, false, nil)
	must(err)
	defer func() { _ = b.Close() }()
	scheduler, err := d.newScheduler(b) // never run, so it does not lead
	must(err)
	d.now.Store(&working{b, scheduler})

	d.news.lead(true)
	learn := func() {
		must(metrics.NewReader(b, d.observers.Metrics).Read(t.Context()))
		d.news.ran(jobs.Metrics, &jobs.MetricsResult{}, nil)
		d.news.ran(jobs.Cleanup, &jobs.CleanupResult{}, nil)
		d.news.failed(jobs.Trim, io.ErrUnexpectedEOF)
		d.news.examined(diagnosis{time.Now(), nil})
	}
	learn()
	if !d.news.absent("looked in the database 0") || d.news.absent("looked in the database 0") {
		t.Error("that there is nothing is not news once")
	}
	if known := d.news.known(); len(known.streams.Chosen) != 1 || known.streams.Chosen[0].Entries != 1 || len(known.last) != 2 || len(known.errors) != 1 || known.diagnosis.at.IsZero() || known.absence == "" {
		t.Fatalf("the leader knows %+v", known)
	}
	got := d.status(t.Context())
	if got.Leader.Leading || got.Redis.Version == "" {
		t.Fatalf("the page says %+v, %+v", got.Leader, got.Redis)
	}
	if len(got.Streams.Largest) > 0 || got.Streams.Total > 0 || !got.Streams.Read.IsZero() || len(got.Errors) > 0 || !got.Doctor.Examined.IsZero() ||
		!got.Sessions.Read.IsZero() || got.Redis.Read || got.Redis.Absence != "" {
		t.Errorf("a follower shows %+v", got)
	}
	if got := d.stream(t.Context(), "busy"); got.Leader.Leading || got.Figures != nil || len(got.Points) > 0 || got.Trouble != "" {
		t.Errorf("a follower shows of a stream %+v", got)
	}

	d.news.lead(false)
	learn()
	if d.news.absent("looked in the database 0") {
		t.Error("a follower says that there is nothing")
	}
	if known := d.news.known(); len(known.streams.Chosen) > 0 || len(known.last) > 0 || len(known.errors) > 0 || !known.diagnosis.at.IsZero() || known.absence != "" {
		t.Errorf("a follower knows %+v", known)
	}
}
