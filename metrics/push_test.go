package metrics

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// gateway is an HTTP server that reads what is pushed as a Pushgateway does.
type gateway struct {
	*httptest.Server
	// method and path of the last push, and who it came from.
	path, user, password string
	families             map[string]*dto.MetricFamily
	// groups are what the last push to each path had.
	groups map[string]map[string]*dto.MetricFamily
}

func startGateway(t *testing.T) *gateway {
	t.Helper()
	g := &gateway{groups: make(map[string]map[string]*dto.MetricFamily)}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.path = r.Method + " " + r.URL.EscapedPath()
		g.user, g.password, _ = r.BasicAuth()
		g.families = make(map[string]*dto.MetricFamily)
		g.groups[g.path] = g.families
		decoder := expfmt.NewDecoder(r.Body, expfmt.ResponseFormat(r.Header))
		for {
			var family dto.MetricFamily
			err := decoder.Decode(&family)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			g.families[family.GetName()] = &family
		}
	}))
	t.Cleanup(g.Close)
	return g
}

// with is the URL of a server with something in front of its host and after it.
func with(server *httptest.Server, user, path string) string {
	return strings.Replace(server.URL, "://", "://"+user, 1) + path
}

func mustParse(t *testing.T, address string) Gateway {
	t.Helper()
	g, err := ParseGateway(address)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestAPushgatewayGetsOurSeriesWithoutALabelThatIsItsOwn(t *testing.T) {
	g := startGateway(t)
	m := busy()
	if err := m.Push(t.Context(), mustParse(t, with(g.Server, "me:secret@", "/")), Endings{"trim": Good, "metrics": Good}); err != nil {
		t.Fatal(err)
	}
	if g.path != "PUT /metrics/job/streamkeeper" || g.user != "me" || g.password != "secret" {
		t.Errorf("pushed by %s as %s with %s", g.path, g.user, g.password)
	}
	of := g.groups["PUT /metrics/job/streamkeeper/exported_job/trim"]
	runs := of["streamkeeper_job_runs_total"]
	if runs == nil || of["streamkeeper_trim_entries_removed_total"] == nil || len(runs.GetMetric()) != 3 {
		t.Fatalf("%d families were pushed, and not those of the job", len(of))
	}
	for _, whole := range []string{"streamkeeper_redis_up", "streamkeeper_stream_entries"} {
		if of[whole] != nil || g.families[whole] == nil {
			t.Errorf("%s is not in the group of all", whole)
		}
	}
	for _, l := range runs.GetMetric()[0].GetLabel() {
		if l.GetName() == "job" || l.GetName() == "exported_job" {
			t.Errorf("the label %s is the Pushgateway's own", l.GetName())
		}
	}
	for name := range g.families {
		if !strings.HasPrefix(name, "streamkeeper_") {
			t.Errorf("%s was pushed", name)
		}
	}
	wantValue(t, m, `streamkeeper_job_runs_total{job="trim",result="ok"}`, 1)
}

// Prometheus keeps reading what a group has: a run that broke off leaves alone
// what it knows nothing of.
func TestARunThatBrokeOffTakesNothingFromItsGroup(t *testing.T) {
	g := startGateway(t)
	m := newMetrics(1)
	m.Leader(true)
	m.JobRun(Run{Job: "inspect", Result: ResultError})
	m.JobRun(Run{Job: "cleanup", Result: ResultError})
	err := m.Push(t.Context(), mustParse(t, g.URL), Endings{"inspect": Broken, "cleanup": Flawed, "metrics": Broken})
	if err != nil {
		t.Fatal(err)
	}
	const group = "POST /metrics/job/streamkeeper"
	for path, want := range map[string]struct{ has, hasNot string }{
		group:                           {"streamkeeper_redis_up", "streamkeeper_stream_entries"},
		group + "/exported_job/inspect": {"streamkeeper_job_last_run_ok", "streamkeeper_last_run_invalid_messages"},
		group + "/exported_job/cleanup": {"streamkeeper_sessions", "streamkeeper_job_last_success_timestamp_seconds"},
	} {
		of := g.groups[path]
		if of[want.has] == nil || of[want.hasNot] != nil {
			t.Errorf("%s has %v", path, slices.Sorted(maps.Keys(of)))
		}
	}
	if len(g.groups) != 3 {
		t.Errorf("pushed to %v", slices.Sorted(maps.Keys(g.groups)))
	}
}

func TestThePathNamesTheGroup(t *testing.T) {
	for _, c := range []struct{ path, want string }{
		{"", "/metrics/job/streamkeeper"},
		{"/", "/metrics/job/streamkeeper"},
		{"/gateway/", "/gateway/metrics/job/streamkeeper"},
		{"/metrics/job/keeper/instance/eu%201", "/metrics/job/keeper/instance/eu+1"},
		{"/behind/metrics/job/keeper/instance/a/", "/behind/metrics/job/keeper/instance/a"},
		{"/metrics/job@base64/YS9i", "/metrics/job@base64/YS9i"},
	} {
		t.Run(c.path, func(t *testing.T) {
			g := startGateway(t)
			if err := newMetrics(1).Push(t.Context(), mustParse(t, with(g.Server, "", c.path)), Endings{"metrics": Good}); err != nil {
				t.Fatal(err)
			}
			if g.path != "PUT "+c.want {
				t.Errorf("pushed by %s, want %s", g.path, c.want)
			}
		})
	}
}

func TestAURLThatIsNoPushgatewaysIsRefusedWithoutItsPassword(t *testing.T) {
	for _, url := range []string{
		"ftp://me:secret@example.org",
		"http://me:secret@ example.org",
		"http://me:secret@",
		"http://me@host:9091?token=secret",
		"http://me@host:9091#secret",
		"secret",
		"",
		"http://me:secret@host/metrics/job/",
		"http://me:secret@host/metrics/job/a/instance",
		"http://me:secret@host/metrics/jobs/a",
		"http://me:secret@host/metrics/job@base64/!",
		"http://me:secret@host/metrics/job/a/exported_job/secret",
	} {
		if g, err := ParseGateway(url); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %+v, error %v; want one without the password", url, g, err)
		}
	}
}

func TestAPushThatFailsSaysSoWithoutThePassword(t *testing.T) {
	refuses := func(h http.HandlerFunc) string {
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		return with(server, "me:secret@", "")
	}
	for name, c := range map[string]struct{ url, want string }{
		"nobody is there":         {"http://me:secret@127.0.0.1:1", "connection refused"},
		"no Pushgateway is there": {refuses(http.NotFound), "404"},
		"it sends us elsewhere, where a GET would succeed": {refuses(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				http.Redirect(w, r, "/elsewhere", http.StatusMovedPermanently)
			}
		}), "301"},
		"it refuses at length": {refuses(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, strings.Repeat("no ", 1<<20), http.StatusBadGateway)
		}), "502"},
	} {
		t.Run(name, func(t *testing.T) {
			err := newMetrics(1).Push(t.Context(), mustParse(t, c.url), Endings{"metrics": Good})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") || len(err.Error()) > 2<<10 {
				t.Errorf("error %.3000v, want one with %s and without the password", err, c.want)
			}
		})
	}
}

func FuzzParseGateway(f *testing.F) {
	for _, seed := range []string{"http://a", "https://u:p@h:1/x/metrics/job/a/b/c", "http://h/metrics/job@base64/YQ==", "http://[::1]:9/", "::"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		g, err := ParseGateway(text)
		if err != nil {
			return
		}
		if base, err := url.Parse(g.base); err != nil || base.User != nil || g.job == "" {
			t.Errorf("%q is read as %+v", text, g)
		}
	})
}
