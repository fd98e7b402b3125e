package jobs

import (
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
	"github.com/streamkeeper/streamkeeper/trim"
	"github.com/streamkeeper/streamkeeper/trim/sweep"
)

func TestFiguresSayWhatTheLastTrimmingRunFoundProtected(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	s.Client.SAdd(ctx, "streams", "car", "empty")
	for i := range 1050 {
		id := fmt.Sprintf("%d-0", time.Now().Add(-time.Hour).UnixMilli()+int64(i))
		s.Client.XAdd(ctx, &redis.XAddArgs{Stream: "stream:car", ID: id, Values: []string{"d", "x"}})
	}
	b, err := buffer.Open(ctx, buffer.Options{Connection: redisconn.Connection{URL: s.URL()}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	o := Options{Trim: TrimOptions{Options: sweep.Options{Policies: trim.Policies{Default: trim.Policy{MaxLength: 920}}}}}
	o.Metrics.MaxStreams = 1
	m := NewMetrics(o, Process{})
	m.Leader(true)
	env := Env{Options: o, Buffer: b, Metrics: m, Log: slog.New(slog.DiscardHandler)}
	figures := func() string {
		t.Helper()
		if _, err := NewRunner(env, metricsJob()).Run(ctx); err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/metrics", nil))
		text, err := io.ReadAll(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	node := `streamkeeper_stream_protected_entries{by="node",stream="car"} `
	if text := figures(); !strings.Contains(text, node+"0\n") {
		t.Errorf("before the first run:\n%s", text)
	}
	if _, err := NewRunner(env, trimJob()).Run(ctx); err != nil {
		t.Fatal(err)
	}
	text := figures()
	for _, line := range []string{node + "30", `streamkeeper_stream_entries{stream="car"} 950`, `streamkeeper_streams 2`} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("after a run %q is missing in\n%s", line, text)
		}
	}
}

// Policies that are read again give no stream back what memory pressure took: Redis is as
// full as before.
func TestOtherPoliciesGiveNoRetentionBack(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	s.Client.SAdd(ctx, "streams", "car")
	add := func(first time.Time, n int) {
		t.Helper()
		ids := make([]string, n)
		for i := range ids {
			ids[i] = fmt.Sprintf("%d-0", first.UnixMilli()+int64(i))
		}
		redistest.AddEntries(t, s.Client, "stream:car", ids, func(int) int { return 4000 }, "d")
	}
	fill := func(share float64) {
		t.Helper()
		var used int64
		info := s.Client.InfoMap(ctx, "memory").Val()
		if _, err := fmt.Sscan(info["Memory"]["used_memory"], &used); err != nil {
			t.Fatal(err)
		}
		s.Client.ConfigSet(ctx, "maxmemory", fmt.Sprint(int64(float64(used)/share)))
	}
	hour := time.Now().Add(-time.Hour)
	add(hour, 3000)
	b, err := buffer.Open(ctx, buffer.Options{Connection: redisconn.Connection{URL: s.URL()}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	policies := trim.Policies{Default: trim.Policy{MaxLength: 5000, MinAge: time.Minute}}
	o := Options{Trim: TrimOptions{Options: sweep.Options{Policies: policies, Pressure: 0.8}}}
	live := NewLivePolicies(policies)
	runner := NewRunner(Env{Options: o, Buffer: b, Metrics: NewMetrics(o, Process{}), Policies: live, Unwatched: true, Log: slog.New(slog.DiscardHandler)}, trimJob())
	run := func() int64 {
		t.Helper()
		if _, err := runner.Run(ctx); err != nil {
			t.Fatal(err)
		}
		return s.Client.XLen(ctx, "stream:car").Val()
	}
	fill(0.9)
	reduced := run()
	if reduced >= 3000 {
		t.Fatalf("%d entries are left where memory is short", reduced)
	}
	other, err := trim.ParseRules("bus: max_length=10", policies.Default)
	if err != nil {
		t.Fatal(err)
	}
	live.Replace(trim.Policies{Default: policies.Default, Rules: other})
	add(hour.Add(time.Minute), 1000)
	fill(0.78)
	if n := run(); n > reduced+50 {
		t.Errorf("%d entries are left, and %d before the policies were read again", n, reduced)
	}
}
