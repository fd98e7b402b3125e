package metrics

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/trim"
)

var (
	testJobs    = []string{"trim", "cleanup", "inspect"}
	testReasons = []string{"not_protobuf", "over_1_mib"}
	testNow     = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
)

func newMetrics(most int) *Metrics {
	return New(Options{
		Version: "1.2.3", Revision: "abc", GoVersion: "go1.26", MaxStreams: most, Jobs: testJobs, Reasons: testReasons,
		Now: func() time.Time { return testNow },
	})
}

// values are all samples of streamkeeper's own, as name{label="value",…}; a
// histogram is its count.
func values(t *testing.T, m *Metrics) map[string]float64 {
	t.Helper()
	families, err := m.ours.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			all[sampleName(family.GetName(), metric)] = sampleValue(metric)
		}
	}
	return all
}

func sampleName(name string, metric *dto.Metric) string {
	var labels []string
	for _, l := range metric.GetLabel() {
		labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
	}
	if len(labels) == 0 {
		return name
	}
	return name + "{" + strings.Join(labels, ",") + "}"
}

func sampleValue(metric *dto.Metric) float64 {
	switch {
	case metric.Counter != nil:
		return metric.Counter.GetValue()
	case metric.Gauge != nil:
		return metric.Gauge.GetValue()
	default:
		return float64(metric.Histogram.GetSampleCount())
	}
}

func wantValue(t *testing.T, m *Metrics, name string, want float64) {
	t.Helper()
	got, ok := values(t, m)[name]
	if !ok || got != want {
		t.Errorf("%s = %v (there: %t), want %v", name, got, ok, want)
	}
}

func TestEveryMetricIsThereFromTheFirstScrape(t *testing.T) {
	jobs := labelled("job", testJobs...)
	classes := labelled("class", "readonly", "loading", "oom", "auth", "timeout", "connection", "moved", "wrongtype", "noscript", "clock", "other")
	tests := []struct {
		name   string
		kind   dto.MetricType
		labels []string // of each sample, "" for none
	}{
		{"build_info", dto.MetricType_GAUGE, []string{`{goversion="go1.26",revision="abc",version="1.2.3"}`}},
		{"redis_up", dto.MetricType_GAUGE, []string{""}},
		{"redis_memory_used_bytes", dto.MetricType_GAUGE, []string{""}},
		{"redis_memory_max_bytes", dto.MetricType_GAUGE, []string{""}},
		{"leader", dto.MetricType_GAUGE, []string{""}},
		{"job_runs_total", dto.MetricType_COUNTER, jobResults()},
		{"job_duration_seconds", dto.MetricType_HISTOGRAM, jobs},
		{"job_last_success_timestamp_seconds", dto.MetricType_GAUGE, jobs},
		{"job_period_seconds", dto.MetricType_GAUGE, jobs},
		{"job_last_run_timestamp_seconds", dto.MetricType_GAUGE, jobs},
		{"job_last_run_ok", dto.MetricType_GAUGE, jobs},
		{"clocks_disagree", dto.MetricType_GAUGE, jobs},
		{"config_last_reload_successful", dto.MetricType_GAUGE, []string{""}},
		{"config_last_reload_success_timestamp_seconds", dto.MetricType_GAUGE, []string{""}},
		{"dry_run", dto.MetricType_GAUGE, []string{""}},
		{"one_shot", dto.MetricType_GAUGE, []string{""}},
		{"registry_lost", dto.MetricType_GAUGE, []string{""}},
		{"streams", dto.MetricType_GAUGE, []string{""}},
		{"sessions", dto.MetricType_GAUGE, labelled("state", "live", "stale", "malformed", "flowing", "foreign")},
		{"stream_entries", dto.MetricType_GAUGE, labelled("stream", "_other")},
		{"stream_limit_entries", dto.MetricType_GAUGE, labelled("stream", "_other")},
		{"stream_protected_entries", dto.MetricType_GAUGE, []string{
			`{by="age",stream="_other"}`, `{by="group",stream="_other"}`, `{by="pause",stream="_other"}`, `{by="node",stream="_other"}`,
		}},
		{"stream_node_entries", dto.MetricType_GAUGE, labelled("stream", "_other")},
		{"stream_bytes", dto.MetricType_GAUGE, labelled("stream", "_other")},
		{"stream_limit_bytes", dto.MetricType_GAUGE, labelled("stream", "_other")},
		{"stream_limit_age_seconds", dto.MetricType_GAUGE, labelled("stream", "_other")},
		{"last_run_invalid_messages", dto.MetricType_GAUGE, labelled("stream", "_other")},
		{"trim_entries_removed_total", dto.MetricType_COUNTER, []string{
			`{reason="length",stream="_other"}`, `{reason="age",stream="_other"}`, `{reason="bytes",stream="_other"}`, `{reason="pressure",stream="_other"}`,
		}},
		{"trim_call_seconds", dto.MetricType_HISTOGRAM, []string{""}},
		{"sessions_expired_total", dto.MetricType_COUNTER, []string{""}},
		{"sessions_abandoned_total", dto.MetricType_COUNTER, []string{""}},
		{"sessions_restored_total", dto.MetricType_COUNTER, []string{""}},
		{"streams_retired_total", dto.MetricType_COUNTER, []string{""}},
		{"streams_restored_total", dto.MetricType_COUNTER, []string{""}},
		{"stream_names_dropped_total", dto.MetricType_COUNTER, []string{""}},
		{"paused", dto.MetricType_GAUGE, jobs},
		{"brake_tripped", dto.MetricType_GAUGE, jobs},
		{"brake_release_timestamp_seconds", dto.MetricType_GAUGE, jobs},
		{"malformed_total", dto.MetricType_COUNTER, labelled("kind", "session", "stream_type", "stream_id", "unlisted_stream", "state_key")},
		{"inspect_messages_total", dto.MetricType_COUNTER, []string{
			`{stream="_other",verdict="ok"}`, `{stream="_other",verdict="warn"}`, `{stream="_other",verdict="invalid"}`,
		}},
		{"inspect_reasons_total", dto.MetricType_COUNTER, labelled("reason", testReasons...)},
		{"inspect_burst_bytes", dto.MetricType_HISTOGRAM, []string{""}},
		{"inspect_compression_ratio", dto.MetricType_HISTOGRAM, []string{""}},
		{"redis_errors_total", dto.MetricType_COUNTER, classes},
		{"history_dropped_total", dto.MetricType_COUNTER, []string{""}},
		{"log_dropped_total", dto.MetricType_COUNTER, []string{""}},
	}
	families, err := newMetrics(500).ours.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]*dto.MetricFamily)
	for _, family := range families {
		got[family.GetName()] = family
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			family := got["streamkeeper_"+tt.name]
			delete(got, "streamkeeper_"+tt.name)
			if family.GetType() != tt.kind || family.GetHelp() == "" {
				t.Errorf("type %v, help %q; want %v and some help", family.GetType(), family.GetHelp(), tt.kind)
			}
			var labels []string
			for _, metric := range family.GetMetric() {
				labels = append(labels, sampleName("", metric))
				want := 0.0
				if tt.name == "build_info" {
					want = 1
				}
				if v := sampleValue(metric); v != want {
					t.Errorf("%s starts at %v, want %v", sampleName("", metric), v, want)
				}
			}
			slices.Sort(labels)
			slices.Sort(tt.labels)
			if !slices.Equal(labels, tt.labels) {
				t.Errorf("samples\n%v, want\n%v", labels, tt.labels)
			}
		})
	}
	if len(got) > 0 {
		t.Errorf("metrics that the table does not name: %v", slices.Sorted(maps.Keys(got)))
	}
}

func labelled(label string, values ...string) []string {
	var all []string
	for _, value := range values {
		all = append(all, fmt.Sprintf("{%s=%q}", label, value))
	}
	return all
}

func jobResults() []string {
	var all []string
	for _, job := range testJobs {
		for _, result := range []string{"ok", "error", "skipped"} {
			all = append(all, fmt.Sprintf("{job=%q,result=%q}", job, result))
		}
	}
	return all
}

func TestARunIsCountedWithItsResult(t *testing.T) {
	m := newMetrics(1)
	m.JobRun(Run{Job: "trim", Result: ResultOK, Took: time.Second})
	m.JobRun(Run{Job: "trim", Result: ResultError, Took: time.Second})
	m.JobRun(Run{Job: "trim", Result: ResultSkipped, Took: 0})
	m.JobRun(Run{Job: "cleanup", Result: ResultError, Took: time.Second})
	for _, result := range []string{"ok", "error", "skipped"} {
		wantValue(t, m, `streamkeeper_job_runs_total{job="trim",result="`+result+`"}`, 1)
	}
	wantValue(t, m, `streamkeeper_job_duration_seconds{job="trim"}`, 2)
	wantValue(t, m, `streamkeeper_job_last_success_timestamp_seconds{job="trim"}`, float64(testNow.Unix()))
	wantValue(t, m, `streamkeeper_job_last_success_timestamp_seconds{job="cleanup"}`, 0)
}

func TestTheLastRunOfTheLeaderSaysWhenItWasAndHow(t *testing.T) {
	m := newMetrics(1)
	run := func(r Run) { m.JobRun(r) }
	wantLast := func(at, ok, clocks float64) {
		t.Helper()
		wantValue(t, m, `streamkeeper_job_last_run_timestamp_seconds{job="cleanup"}`, at)
		wantValue(t, m, `streamkeeper_job_last_run_ok{job="cleanup"}`, ok)
		wantValue(t, m, `streamkeeper_clocks_disagree{job="cleanup"}`, clocks)
	}
	now := float64(testNow.Unix())
	run(Run{Job: "cleanup", Result: ResultOK}) // ended after the lease was lost
	wantLast(0, 0, 0)
	m.Leader(true)
	run(Run{Job: "cleanup", Result: ResultError, ClocksDisagree: true})
	wantLast(now, 0, 1)
	run(Run{Job: "cleanup", Result: ResultOK})
	wantLast(now, 1, 0)
	run(Run{Job: "cleanup", Result: ResultSkipped})
	wantLast(now, 1, 0)
	m.Leader(false)
	wantLast(0, 0, 0)
}

func TestAReloadThatFailsLeavesWhenOneLastSucceeded(t *testing.T) {
	m := newMetrics(1)
	m.ConfigReloaded(true)
	wantValue(t, m, `streamkeeper_config_last_reload_successful`, 1)
	m.ConfigReloaded(false)
	wantValue(t, m, `streamkeeper_config_last_reload_successful`, 0)
	wantValue(t, m, `streamkeeper_config_last_reload_success_timestamp_seconds`, float64(testNow.Unix()))
}

func TestWhatTheProcessIsStandsInItsMetrics(t *testing.T) {
	m := New(Options{Jobs: testJobs, Periods: map[string]time.Duration{"trim": 90 * time.Second}, DryRun: true, OneShot: true})
	wantValue(t, m, `streamkeeper_dry_run`, 1)
	wantValue(t, m, `streamkeeper_one_shot`, 1)
	wantValue(t, m, `streamkeeper_job_period_seconds{job="trim"}`, 90)
	wantValue(t, m, `streamkeeper_job_period_seconds{job="cleanup"}`, 0)
}

func TestEachActionOfCleanupHasItsCounter(t *testing.T) {
	tests := map[cleanup.Kind]string{
		cleanup.Expire:   "sessions_expired_total",
		cleanup.Abandon:  "sessions_abandoned_total",
		cleanup.Retire:   "streams_retired_total",
		cleanup.Restore:  "streams_restored_total",
		cleanup.DropName: "stream_names_dropped_total",
	}
	for kind, name := range tests {
		m := newMetrics(1)
		m.CleanedUp(cleanup.Action{Kind: kind})
		for _, other := range tests {
			want := 0.0
			if other == name {
				want = 1
			}
			wantValue(t, m, "streamkeeper_"+other, want)
		}
	}
}

func TestSessionsThatWerePutBackAreCounted(t *testing.T) {
	m := newMetrics(1)
	m.SessionsRestored(3)
	wantValue(t, m, "streamkeeper_sessions_restored_total", 3)
}

func TestAFollowerShowsNothingThatOnlyTheLeaderKnows(t *testing.T) {
	m := newMetrics(5)
	atFirst := values(t, m)
	show := func() {
		m.Sessions(cleanup.Stale, 7)
		m.Brake("cleanup", true, time.Unix(1_800_000_000, 0))
		m.RegistryLost(true)
		m.whileLeading(func() {
			m.streams.show(reading{streams: 1, chosen: []chosen{{name: "a", figures: figures{entries: 9}}}})
		})
	}
	show()
	if got := values(t, m); !maps.Equal(got, atFirst) {
		t.Errorf("a follower took figures: %v", got)
	}
	m.Leader(true)
	show()
	wantValue(t, m, `streamkeeper_sessions{state="stale"}`, 7)
	wantValue(t, m, `streamkeeper_brake_tripped{job="cleanup"}`, 1)
	wantValue(t, m, `streamkeeper_brake_release_timestamp_seconds{job="cleanup"}`, 1_800_000_000)
	wantValue(t, m, `streamkeeper_stream_entries{stream="a"}`, 9)
	wantValue(t, m, `streamkeeper_registry_lost`, 1)
	wantValue(t, m, `streamkeeper_leader`, 1)
	m.Leader(false)
	if got := values(t, m); !maps.Equal(got, atFirst) {
		t.Errorf("figures were left behind when the lease was lost: %v", got)
	}
}

func TestMessagesAreCountedByVerdictReasonAndSize(t *testing.T) {
	m := newMetrics(1)
	m.Inspected(Message{Stream: "a", Verdict: burst.Invalid, Reasons: testReasons, Compressed: 10})
	m.Inspected(Message{Stream: "a", Verdict: burst.OK, Size: 64 << 10, Compressed: 20 << 10})
	wantValue(t, m, `streamkeeper_inspect_messages_total{stream="_other",verdict="invalid"}`, 1)
	wantValue(t, m, `streamkeeper_inspect_messages_total{stream="_other",verdict="ok"}`, 1)
	wantValue(t, m, `streamkeeper_inspect_reasons_total{reason="not_protobuf"}`, 1)
	wantValue(t, m, `streamkeeper_inspect_reasons_total{reason="over_1_mib"}`, 1)
	wantValue(t, m, `streamkeeper_inspect_burst_bytes`, 1)
	wantValue(t, m, `streamkeeper_inspect_compression_ratio`, 1)
}

func TestErrorsAndMalformedThingsAreCountedByKind(t *testing.T) {
	m := newMetrics(1)
	m.RedisError(redisconn.ClassOOM)
	m.Malformed("session")
	m.RedisUp(true)
	m.Leader(true)
	m.RedisMemory(90, 100)
	m.TrimCall(time.Millisecond)
	wantValue(t, m, `streamkeeper_redis_errors_total{class="oom"}`, 1)
	wantValue(t, m, `streamkeeper_malformed_total{kind="session"}`, 1)
	wantValue(t, m, `streamkeeper_redis_up`, 1)
	wantValue(t, m, `streamkeeper_redis_memory_used_bytes`, 90)
	wantValue(t, m, `streamkeeper_redis_memory_max_bytes`, 100)
	wantValue(t, m, `streamkeeper_trim_call_seconds`, 1)
}

// busy is metrics in which everything has happened, with names that try hard.
func busy() *Metrics {
	m := newMetrics(10)
	m.Leader(true)
	r := reading{at: testNow, streams: 20, otherEntries: 5}
	for _, name := range hostileNames {
		r.chosen = append(r.chosen, chosen{name: name, figures: figures{entries: 3, timed: true, coverage: time.Minute}})
	}
	m.streams.show(r)
	for _, name := range hostileNames {
		m.TrimRemoved(name, trim.ByLength, 3)
		m.Inspected(Message{Stream: name, Verdict: burst.OK, Size: 2, Compressed: 1})
	}
	m.JobRun(Run{Job: "trim", Result: ResultOK, Took: time.Second})
	m.TrimCall(time.Millisecond)
	return m
}

var hostileNames = []string{"", "_other", `\x5fother`, "a\xffb", "line\nbreak", `quote"`, "<script>", "ü"}

func TestPromtoolFindsNoFault(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("promtool is missing: install the package prometheus")
		}
		t.Skip("promtool is missing: install the package prometheus")
	}
	for name, m := range map[string]*Metrics{"at first": newMetrics(500), "in use": busy()} {
		t.Run(name, func(t *testing.T) {
			page := scrape(t, m, "")
			check := exec.CommandContext(t.Context(), promtool, "check", "metrics")
			check.Stdin = page.Body
			if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("promtool check metrics: %v\n%s", err, out)
			}
		})
	}
}

func scrape(t *testing.T, m *Metrics, accept string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)
	request.Header.Set("Accept", accept)
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, request)
	if answer.Code != http.StatusOK {
		t.Fatalf("status %d: %s", answer.Code, answer.Body)
	}
	return answer
}

func TestOpenMetricsIsServedToThoseWhoAskForIt(t *testing.T) {
	m := busy()
	plain := scrape(t, m, "")
	if got := plain.Header().Get("Content-Type"); !strings.HasPrefix(got, "text/plain; version=0.0.4") {
		t.Errorf("content type %q", got)
	}
	open := scrape(t, m, "application/openmetrics-text; version=1.0.0")
	if got := open.Header().Get("Content-Type"); !strings.HasPrefix(got, "application/openmetrics-text") {
		t.Errorf("content type %q", got)
	}
	if !strings.HasSuffix(open.Body.String(), "# EOF\n") {
		t.Error("the page does not end as OpenMetrics do")
	}
	for _, want := range []string{"go_goroutines", "process_open_fds", `stream="\\x5fother"`} {
		if !strings.Contains(plain.Body.String(), want) {
			t.Errorf("the page has no %s", want)
		}
	}
}

// A strict parser refuses a page on which a gauge and a counter's family have
// one name.
func TestAStrictParserTakesTheWholeOpenMetricsPage(t *testing.T) {
	page := scrape(t, busy(), "application/openmetrics-text; version=1.0.0").Body.String()
	families := make(map[string]bool)
	for line := range strings.Lines(page) {
		fields := strings.Fields(line)
		if len(fields) != 4 || fields[1] != "TYPE" {
			continue
		}
		if families[fields[2]] {
			t.Errorf("the page has the family %s twice", fields[2])
		}
		families[fields[2]] = true
	}
	if !families["go_goroutines"] || !families["streamkeeper_job_runs"] {
		t.Errorf("families %v", slices.Sorted(maps.Keys(families)))
	}
	const script = "import sys; from prometheus_client.openmetrics import parser; list(parser.text_string_to_metric_families(sys.stdin.read()))"
	// The system's Python, for which there is a package, need not be the first in PATH.
	pythons := slices.DeleteFunc([]string{"python3", "/usr/bin/python3"}, func(python string) bool {
		return exec.CommandContext(t.Context(), python, "-c", "import prometheus_client").Run() != nil
	})
	if len(pythons) == 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("prometheus_client is missing: install the package python3-prometheus-client")
		}
		t.Skip("prometheus_client is missing: install the package python3-prometheus-client")
	}
	check := exec.CommandContext(t.Context(), pythons[0], "-c", script)
	check.Stdin = strings.NewReader(page)
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestEverythingMayHappenAtOnce(t *testing.T) {
	m := newMetrics(3)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := range 200 {
				name := fmt.Sprint("s", (n+i)%7)
				m.Leader(n%10 != 0)
				m.TrimStarted()
				m.TrimRemoved(name, trim.ByLength, 1)
				m.InspectStarted()
				m.Inspected(Message{Stream: name, Verdict: burst.Warn})
				m.InspectEnded(true)
				m.JobRun(Run{Job: "trim", Result: ResultOK})
				m.whileLeading(func() { m.streams.show(reading{streams: 7, chosen: []chosen{{name: name}}}) })
				m.Snapshot()
				m.Sessions(cleanup.Live, 1)
				if _, err := m.ours.Gather(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
