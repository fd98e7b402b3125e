package doctest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/demo"
	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// mayBeEmpty are the queries that have no answer when all is well, with the
// reason why. Of a rule, every series that it names must have data all the same.
func mayBeEmpty() map[string]string {
	return map[string]string{
		"StreamkeeperAbsent":             "it is there",
		"StreamkeeperNoLeader":           "there is one",
		"StreamkeeperRedisUnreachable":   "Redis answers",
		"StreamkeeperSeveralLeaders":     "there is one",
		"StreamkeeperNoSuccessfulRun":    "all jobs succeed",
		"StreamkeeperOnceOverdue":        "it is a daemon",
		"StreamkeeperJobFailing":         "all jobs succeed",
		"StreamkeeperBrakeTripped":       "so few sessions do not trip it",
		"Odd an hour C":                  "the doctor finds nothing wrong",
		"StreamkeeperDoctorError":        "the doctor finds nothing wrong",
		"Mass-deletion guard B":          "so few sessions do not trip it",
		"StreamkeeperRegistryLost":       "the registry is there",
		"StreamkeeperStreamOverLimit":    "they are trimmed every second",
		"StreamkeeperStreamOverAge":      "they are trimmed every second",
		"StreamkeeperStreamOverBytes":    "they are trimmed every second",
		"StreamkeeperMalformedSessions":  "it takes a day",
		"StreamkeeperRedisMemoryHigh":    "the limit is far away",
		"StreamkeeperRedisMemoryFilling": "the limit is far away",
		"StreamkeeperClocksDisagree":     "there is one clock",
		"How the last run ended B":       "it is no dry run",
		"How the last run ended C":       "the registry is there",
		"How the last run ended D":       "there is one clock",
		"How the last run ended E":       "the policies are right",
		"How the last run ended F":       "nothing is paused",
		"StreamkeeperPoliciesFaulty":     "the policies are right",
		"StreamkeeperPausedLong":         "nothing is paused",
		"What once removed A":            "it is a daemon",
		"What once removed B":            "it is a daemon",
		"What once removed C":            "it is a daemon",
	}
}

// composedPrometheus is the configuration that goes with compose.yaml.
const composedPrometheus = "demo/compose/prometheus.yaml"

// prometheusServer is a real Prometheus, as in compose.yaml but with everything
// every second; there is no label namespace.
type prometheusServer struct {
	t   *testing.T
	url string
}

func startPrometheus(t *testing.T, target string) *prometheusServer {
	t.Helper()
	binary, err := exec.LookPath("prometheus")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("prometheus is missing: install the package of that name")
		}
		t.Skip("prometheus is missing: install the package of that name")
	}
	rules, err := filepath.Abs(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	dir, address := t.TempDir(), program.FreeAddress(t)
	text, err := os.ReadFile(composedPrometheus)
	if err != nil {
		t.Fatal(err)
	}
	config := strings.NewReplacer(": 5s", ": 1s", "rules/streamkeeper.yaml", rules,
		"streamkeeper:8080", strings.TrimPrefix(target, "http://")).Replace(string(text))
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	log := new(program.Buffer)
	server := exec.Command(binary, "--config.file="+file, "--storage.tsdb.path="+dir, "--web.listen-address="+address, "--log.level=warn")
	server.Stderr = log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
		if t.Failed() {
			t.Logf("log of Prometheus:\n%s", log)
		}
	})
	p := &prometheusServer{t: t, url: "http://" + address}
	program.Eventually(t, 30*time.Second, "Prometheus is ready", func() bool { return p.ask("/-/ready", nil, nil) == nil })
	return p
}

// ask reads the answer of the API into a value, if there is one.
func (p *prometheusServer) ask(path string, values url.Values, into any) error {
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.url+path+"?"+values.Encode(), http.NoBody)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", path, answer.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(answer.Body).Decode(into)
}

// answers reports how many series with a number a query gives now.
func (p *prometheusServer) answers(expr string) (n int) {
	p.t.Helper()
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any // time and value
			}
		}
	}
	if err := p.ask("/api/v1/query", url.Values{"query": {expr}}, &answer); err != nil {
		p.t.Errorf("%v to %s", err, expr)
	}
	for _, r := range answer.Data.Result {
		if r.Value[1] != "NaN" {
			n++
		}
	}
	return n
}

type ruleState struct{ Name, Query, Health, LastError string }

func (p *prometheusServer) rules() []ruleState {
	p.t.Helper()
	var answer struct {
		Data struct{ Groups []struct{ Rules []ruleState } }
	}
	if err := p.ask("/api/v1/rules", nil, &answer); err != nil {
		p.t.Fatal(err)
	}
	var all []ruleState
	for _, group := range answer.Data.Groups {
		all = append(all, group.Rules...)
	}
	return all
}

// startScene lets the demo's producers do everything that streamkeeper is for on a
// real Redis, under the demo's limits.
func startScene(t *testing.T) (*redistest.Server, *program.Instance) {
	t.Helper()
	server := redistest.Start(t, "--maxmemory", "500mb")
	settings := map[string]string{"TRIM_MAX_LENGTH": "100", "TRIM_MAX_AGE": "1h", "TRIM_MAX_BYTES": "64MiB"}
	for _, s := range demo.Limits() {
		settings[s.Name] = s.Value
	}
	makeExhibit(t).restore(t, server.Client)
	producers := program.Env{}.Command(t, "demo", "--producers", "--redis-url", server.URL())
	log := new(program.Buffer)
	producers.Stderr = log
	producers.Cancel = func() error { return producers.Process.Signal(os.Interrupt) } // at the end of the test
	mustDo(t, producers.Start())
	t.Cleanup(func() {
		_ = producers.Wait()
		if !producers.ProcessState.Success() {
			t.Errorf("the producers: %v\n%s", producers.ProcessState, log)
		}
	})
	return server, program.Start(t, server.URL(), settings)
}

func TestARealPrometheusAnswersEveryQuery(t *testing.T) {
	t.Parallel()
	server, instance := startScene(t)
	p := startPrometheus(t, instance.URL)
	program.Eventually(t, 20*time.Second, "the instance is scraped", func() bool { return p.answers("streamkeeper_leader == 1") == 1 })
	// An error of Redis, for the panel that shows them.
	server.Client.ScriptFlush(t.Context())

	all := readDashboard(t).queries()
	for _, r := range p.rules() {
		all = append(all, query{r.Name, r.Query})
		for _, series := range regexp.MustCompile(ownMetricNames+`(\{[^}]*\})?`).FindAllString(r.Query, -1) {
			all = append(all, query{"a series of " + r.Name, series})
		}
	}
	variables := strings.NewReplacer("$__rate_interval", "15s", "$cluster", ".*", "$namespace", ".*", "$job", ".*", "$instance", ".*", "$stream", ".*")
	reasons := mayBeEmpty()
	deadline := time.Now().Add(time.Minute)
	for _, q := range all {
		expr := variables.Replace(q.expr)
		reason, empty := reasons[q.where]
		delete(reasons, q.where)
		n := p.answers(expr)
		for n == 0 && !empty && time.Now().Before(deadline) {
			time.Sleep(200 * time.Millisecond)
			n = p.answers(expr)
		}
		switch {
		case n == 0 && !empty:
			t.Errorf("%s has no data: %s", q.where, expr)
		case n > 0 && empty:
			t.Errorf("%s has data, although %s: %s", q.where, reason, expr)
		}
	}
	for where := range reasons {
		t.Errorf("there is no query %q", where)
	}
	for _, r := range p.rules() {
		if r.Health != "ok" {
			t.Errorf("rule %s: %s", r.Name, jsonString(r))
		}
	}
	if p.answers(`ALERTS{alertname="StreamkeeperInvalidMessages", alertstate="firing"}`) == 0 {
		t.Error("the messages that nobody can read raise no alert")
	}
	check := exec.Command("promtool", "check", "metrics")
	_, page := instance.Get("/metrics")
	check.Stdin = strings.NewReader(page)
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}
