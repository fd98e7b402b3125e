package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/streamkeeper/streamkeeper/internal/cli"
)

// pushgateway is an HTTP server that reads what is pushed as a Pushgateway
// does. It keeps what the last push to each group had.
type pushgateway struct {
	*httptest.Server
	mu     sync.Mutex
	groups map[string]push // by path
}

// push is what came in one request.
type push struct {
	user string
	// values of gauges and counters, by name and sorted labels.
	values map[string]float64
}

// pushed is the last push to a group that came in whole.
func (g *pushgateway) pushed(path string) push {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.groups[path]
}

const (
	groupOfAll     = "/metrics/job/streamkeeper"
	groupOfTrim    = groupOfAll + "/exported_job/trim"
	groupOfCleanup = groupOfAll + "/exported_job/cleanup"
)

func startGateway(t *testing.T) *pushgateway {
	t.Helper()
	g := &pushgateway{groups: make(map[string]push)}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := push{values: make(map[string]float64)}
		p.user, _, _ = r.BasicAuth()
		decoder := expfmt.NewDecoder(r.Body, expfmt.ResponseFormat(r.Header))
		for {
			var family dto.MetricFamily
			err := decoder.Decode(&family)
			if errors.Is(err, io.EOF) {
				g.mu.Lock()
				g.groups[r.URL.Path] = p
				g.mu.Unlock()
				return
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			p.keep(&family)
		}
	}))
	t.Cleanup(g.Close)
	return g
}

func (p push) keep(family *dto.MetricFamily) {
	for _, m := range family.GetMetric() {
		var labels []string
		for _, l := range m.GetLabel() {
			labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
		}
		slices.Sort(labels)
		name := family.GetName() + "{" + strings.Join(labels, ",") + "}"
		p.values[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
	}
}

// url is where it is, with a user in front.
func (g *pushgateway) url(user string) string {
	return strings.Replace(g.URL, "://", "://"+user, 1)
}

func TestOncePushesWhatItDid(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	gateway := startGateway(t)
	w.env.MustRun(t, "once", "--push", gateway.url(""), "--dry-run", "cleanup")
	if n := gateway.pushed(groupOfCleanup).values[`streamkeeper_sessions{state="stale"}`]; n != 2 {
		t.Errorf("a dry run pushed %v stale sessions, want 2", n)
	}
	file := t.TempDir() + "/streamkeeper.prom"
	out := w.env.MustRun(t, "once", "--push", gateway.url("me:hush@"), "--metrics-file", file, "trim", "cleanup")
	if user := gateway.pushed(groupOfAll).user; !strings.Contains(out, "trimmed") || user != "me" {
		t.Errorf("pushed by %q\n%s", user, out)
	}
	for _, want := range []struct {
		group, series string
		value         float64
	}{
		{groupOfAll, `streamkeeper_redis_up{}`, 1},
		{groupOfAll, `streamkeeper_stream_entries{stream="busy"}`, 1000},
		{groupOfTrim, `streamkeeper_job_runs_total{result="ok"}`, 1},
		{groupOfTrim, `streamkeeper_job_last_run_ok{}`, 1},
		{groupOfCleanup, `streamkeeper_job_runs_total{result="ok"}`, 1},
		{groupOfCleanup, `streamkeeper_sessions{state="live"}`, 2},
	} {
		if got, ok := gateway.pushed(want.group).values[want.series]; !ok || got != want.value {
			t.Errorf("%s: %s is %v, %v; want %v", want.group, want.series, got, ok, want.value)
		}
	}
	if text, err := os.ReadFile(file); err != nil || !bytes.Contains(text, []byte("streamkeeper_redis_up 1")) {
		t.Errorf("the file: %v", err)
	}
}

func TestAPushThatFailsFailsTheRunThatIsDone(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	code, out, errs := w.env.Run(t, "once", "--push", "http://me:hush@127.0.0.1:1", "trim")
	if code != cli.ExitFailure || !strings.Contains(errs, "cannot push metrics") || !strings.Contains(errs, "127.0.0.1:1") || strings.Contains(out+errs, "hush") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if n := w.client.XLen(t.Context(), "stream:busy").Val(); n > 1100 || !strings.Contains(out, "trim") {
		t.Errorf("the stream has %d entries\n%s", n, out)
	}
	// The guard's 3 gives way to the failure's 1, and why Redis cannot be reached is said.
	w.env["CLEANUP_BRAKE_MIN"] = "0"
	w.env["CLEANUP_BRAKE"] = "0.01"
	if code, _, errs := w.env.Run(t, "once", "--push", "http://127.0.0.1:1", "cleanup"); code != cli.ExitFailure {
		t.Errorf("after the guard: exit %d\n%s", code, errs)
	}
	code, _, errs = w.env.Run(t, "once", "--push", "http://127.0.0.1:1", "--redis-url", "redis://127.0.0.1:2")
	if code != cli.ExitFailure || !strings.Contains(errs, "connecting to Redis at") || !strings.Contains(errs, "cannot push metrics") {
		t.Errorf("without Redis: exit %d\n%s", code, errs)
	}
	code, _, errs = w.env.Run(t, "once", "--push", "me:hush@host")
	if code != cli.ExitUsage || !strings.Contains(errs, "--push") || strings.Contains(errs, "hush") {
		t.Errorf("a URL that is none: exit %d\n%s", code, errs)
	}
}
