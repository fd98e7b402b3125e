package jobs

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestARunThatBreaksOffSaysNothingOfTheGuard(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for i := range 40 {
		entry := fmt.Sprintf(`{"streamSessionId":1,"streamName":"car %d","lastUpdated":%d,"json":{"state":2}}`, i, time.Now().Add(-1000*time.Hour).UnixMilli())
		s.Client.HSet(t.Context(), "sessions", fmt.Sprint(i), entry)
	}
	b, err := buffer.Open(t.Context(), buffer.Options{Connection: redisconn.Connection{URL: s.URL()}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	o := Options{Cleanup: CleanupOptions{Options: cleanup.Options{
		Limits: cleanup.Limits{ExpireAfter: time.Hour, RetireAfter: time.Hour}, Guard: cleanup.Guard{Share: 0.5, Min: 10, Hold: time.Hour},
	}}}
	m := NewMetrics(o, Process{})
	m.Leader(true)
	runner := NewRunner(Env{Options: o, Buffer: b, Metrics: m, Log: slog.New(slog.DiscardHandler)}, cleanupJob())
	check := func(want string) {
		t.Helper()
		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
		if text, err := io.ReadAll(w.Body); err != nil || !strings.Contains(string(text), `streamkeeper_brake_tripped{job="cleanup"} `+want+"\n") {
			t.Errorf("%s is wanted, %v:\n%s", want, err, text)
		}
	}
	if _, err := runner.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("1")
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := runner.Run(ended); err == nil {
		t.Error("a run whose context has ended went well")
	}
	check("1")
	s.Client.Del(t.Context(), "sessions")
	if _, err := runner.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("0")
}
