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
