package jobs

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/inspect"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestPausesAreReadAgainAfterASecond(t *testing.T) {
	t.Parallel()
	now, reads := time.Unix(1_700_000_000, 0), 0
	held, failure := buffer.Pauses{{ID: "a"}, {ID: "b", Job: Inspect}}, error(nil)
	pausesOf := func(job string) *Pauses {
		return &Pauses{job: job, removes: Removes(job), now: func() time.Time { return now }, read: func(context.Context) (buffer.Pauses, error) {
			reads++
			return held, failure
		}}
	}
	p := pausesOf(Trim)
	for range 3 {
		if all, err := p.Now(t.Context()); err != nil || len(all) != 1 || all[0].ID != "a" || reads != 1 {
			t.Errorf("%+v, %v, after %d readings", all, err, reads)
		}
	}
	held, now = nil, now.Add(pausesFor)
	if paused, err := p.Streams(t.Context()); err != nil || paused("rocket") || reads != 2 {
		t.Errorf("%v, after %d readings", err, reads)
	}
	failure, now = errors.New("away"), now.Add(pausesFor)
	if _, err := p.Streams(t.Context()); !errors.Is(err, failure) {
		t.Error(err)
	}
	held, failure = buffer.Pauses{{ID: "a"}, {ID: "b", Job: Inspect}}, nil
	if all, err := pausesOf(Inspect).Now(t.Context()); err != nil || len(all) != 1 || all[0].ID != "b" {
		t.Errorf("%+v, %v", all, err)
	}
}

// A run that passed over a stream knows nothing of its messages.
func TestAPausedStreamStaysAsTheLastInspectionFoundIt(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	s.Client.SAdd(ctx, "streams", "car")
	s.Client.XAdd(ctx, &redis.XAddArgs{Stream: "stream:car", Values: []string{"id", "1", "data", "no LZ4"}})
	b, err := buffer.Open(ctx, buffer.Options{Connection: redisconn.Connection{URL: s.URL()}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	o := Options{Inspect: InspectOptions{Options: inspect.Options{Samples: 10, MaxBytes: 1 << 20, MaxBurst: 1 << 20}}}
	o.Metrics.MaxStreams = 1
	m := NewMetrics(o, Process{})
	m.Leader(true)
	env := Env{Options: o, Buffer: b, Metrics: m, Log: slog.New(slog.DiscardHandler)}
	run := func(when string) Result {
		t.Helper()
		r, err := NewRunner(env, inspectJob()).Run(ctx)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/metrics", nil))
		if line := `last_run_invalid_messages{stream="car"} 1`; !strings.Contains(w.Body.String(), line) {
			t.Errorf("%s: no %s in\n%s", when, line, w.Body)
		}
		return r
	}
	if r := run("before"); Idle(r) || r.Found() != 1 {
		t.Errorf("%+v", r)
	}
	if _, err := b.Pause(ctx, buffer.Pause{Job: Inspect, Pattern: "car"}, time.Hour); err != nil {
		t.Fatal(err)
	}
	if r := run("paused"); !Idle(r) || NothingFound([]Result{r}) {
		t.Errorf("%+v", r)
	}
	env.IgnorePause = true
	if r := run("pauses ignored"); Idle(r) || r.Found() != 1 {
		t.Errorf("%+v", r)
	}
}
