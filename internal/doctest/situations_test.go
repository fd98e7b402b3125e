package doctest

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What a Prometheus has of an installation in a situation, and exactly which
// alerts fire then. promtool judges the rules as they lie in the repository,
// and as the chart makes them for the job sk in the namespace rta.

// scene is the series of an installation, by name and labels, in promtool's
// notation: a value for each minute.
type scene struct {
	minutes int
	labels  string
	series  map[string]string
}

func newScene(minutes int, labels string) *scene {
	return &scene{minutes: minutes, labels: labels, series: make(map[string]string)}
}

// set gives a series its values; a single one holds all the time.
func (s *scene) set(name, labels, values string) {
	if !strings.ContainsAny(values, "x ") {
		values = fmt.Sprintf("%sx%d", values, s.minutes)
	}
	key := name + "{" + strings.Trim(s.labels+", "+labels, ", ") + "}"
	s.series[strings.Replace(key, "streamkeeper_process_", "process_", 1)] = values
}

func (s *scene) ours(name, labels, values string) { s.set("streamkeeper_"+name, labels, values) }

// job is a job that ends well once a minute.
func (s *scene) job(name string, period int) {
	label := fmt.Sprintf("exported_job=%q", name)
	s.ours("job_period_seconds", label, fmt.Sprint(period))
	s.ours("job_last_success_timestamp_seconds", label, fmt.Sprintf("0+60x%d", s.minutes))
	s.ours("job_last_run_timestamp_seconds", label, fmt.Sprintf("0+60x%d", s.minutes))
	s.ours("job_last_run_ok", label, "1")
	s.ours("clocks_disagree", label, "0")
	s.ours("brake_tripped", label, "0")
}

// stream is one that is always at its limit.
func (s *scene) stream(name string) {
	label := fmt.Sprintf("stream=%q", name)
	s.ours("stream_entries", label, "10090")
	s.ours("stream_limit_entries", label, "10000")
	s.ours("stream_node_entries", label, "100")
	s.ours("stream_limit_age_seconds", label, "0")
	s.ours("stream_coverage_seconds", label, "600")
	s.ours("stream_idle_seconds", label, "1")
	s.ours("trim_entries_removed_total", label+`, reason="length"`, fmt.Sprintf("0+600x%d", s.minutes))
	s.ours("last_run_invalid_messages", label, "0")
}

// calm is an installation in which all is well.
func calm(minutes int, labels string) *scene {
	s := newScene(minutes, labels)
	for name, value := range map[string]string{
		"build_info": "1", "config_last_reload_successful": "1", "redis_up": "1", "leader": "1", "dry_run": "0", "one_shot": "0", "process_start_time_seconds": "1",
		"streams": "2", "registry_lost": "0", "redis_memory_used_bytes": "50", "redis_memory_max_bytes": "100",
	} {
		s.ours(name, "", value)
	}
	s.ours("sessions", `state="malformed"`, "0")
	for name, period := range map[string]int{"trim": 30, "cleanup": 300, "inspect": 300, "metrics": 30} {
		s.job(name, period)
	}
	s.stream("full")
	// The sum of those without a label of their own.
	s.ours("stream_entries", `stream="_other"`, "900000")
	s.ours("stream_limit_entries", `stream="_other"`, "0")
	s.ours("trim_entries_removed_total", `stream="_other", reason="length"`, fmt.Sprintf("0+600x%d", minutes))
	return s
}

const sk = `namespace="rta", job="sk"`

func daemonScene(minutes int) *scene { return calm(minutes, sk+`, instance="a"`) }

// situation is scenes side by side, and the alerts that fire at a minute.
type situation struct {
	name   string
	scenes []*scene
	at     map[int][]string
	// others are the alerts that the rules of nobody in particular raise besides,
	// of another installation.
	others map[int][]string
}

func steady() situation {
	s := daemonScene(120)
	for i := range 499 {
		s.stream(fmt.Sprint("s", i))
	}
	// One is read to the end, trimmed by age to nothing, and silent.
	s.stream("ended")
	s.ours("stream_entries", `stream="ended"`, "0")
	s.ours("stream_coverage_seconds", `stream="ended"`, "0")
	s.ours("stream_idle_seconds", `stream="ended"`, "0+60x120")
	return situation{name: "steady state with 5 000 streams", scenes: []*scene{s}, at: map[int][]string{30: nil, 119: nil}}
}

// failover is a leader that is killed, and a follower that takes over.
func failover() situation {
	a, b := daemonScene(90), calm(90, sk+`, instance="b"`)
	for series := range a.series {
		values := a.series[series]
		if first, _, ok := strings.Cut(values, "x90"); ok {
			a.series[series] = first + "x30 stale"
		}
	}
	for series, values := range b.series {
		metric, _, _ := strings.Cut(series, "{")
		name := strings.TrimPrefix(metric, "streamkeeper_")
		switch {
		case strings.Contains(series, "stream="):
			b.series[series] = "_x31 " + strings.Replace(values, "x90", "x58", 1)
		case name == "leader", name == "job_last_run_ok":
			b.series[series] = "0x31 1x58"
		case strings.HasSuffix(name, "timestamp_seconds"):
			b.series[series] = "0x31 1920+60x58"
		}
	}
	return situation{name: "failover", scenes: []*scene{a, b}, at: map[int][]string{29: nil, 33: nil, 40: nil, 60: nil, 89: nil}}
}

// away is Redis that is not there for 40 minutes. With a lease the leader loses
// it, and what only a leader knows.
func away(lease bool) situation {
	s := daemonScene(120)
	s.ours("redis_up", "", "1x19 0x39 1x60")
	for _, job := range []string{"trim", "cleanup", "inspect", "metrics"} {
		label := fmt.Sprintf("exported_job=%q", job)
		back := "0x39 1x60"
		if job == "cleanup" || job == "inspect" {
			back = "0x44 1x55"
		}
		s.ours("job_last_run_ok", label, "1x19 "+back)
		s.ours("job_last_success_timestamp_seconds", label, "0+60x19 1140x39 3600+60x60")
		if lease {
			s.ours("job_last_run_timestamp_seconds", label, "0+60x19 0x39 3600+60x60")
		}
	}
	if lease {
		s.ours("leader", "", "1x19 0x40 1x59")
		for series := range s.series {
			if strings.Contains(series, "stream=") {
				s.series[series] = strings.Replace(s.series[series], "x120", "x19 stale _x39 ", 1) + strings.Replace(s.series[series], "x120", "x58", 1)
			}
		}
	}
	only := []string{"StreamkeeperRedisUnreachable"}
	return situation{
		name: fmt.Sprintf("Redis away for 40 minutes, with a lease: %t", lease), scenes: []*scene{s},
		at: map[int][]string{19: nil, 24: only, 40: only, 59: only, 62: nil, 70: nil, 80: nil, 119: nil},
	}
}

func twoInstallations() situation {
	other := calm(120, `namespace="rta", job="other", instance="o"`)
	other.ours("redis_up", "", "0")
	other.ours("registry_lost", "", "1")
	other.ours("stream_entries", `stream="full"`, "20000")
	other.ours("last_run_invalid_messages", `stream="full"`, "3")
	quiet := daemonScene(120)
	ofOther := []string{
		"StreamkeeperRedisUnreachable", "StreamkeeperRegistryLost", "StreamkeeperStreamOverLimit", "StreamkeeperInvalidMessages",
	}
	return situation{
		name: "another installation with streams of the same names in trouble", scenes: []*scene{quiet, other},
		at:     map[int][]string{60: nil, 119: nil},
		others: map[int][]string{60: ofOther, 119: ofOther},
	}
}

func gone() situation {
	s := daemonScene(60)
	for series, values := range s.series {
		s.series[series] = strings.Replace(values, "x60", "x30 stale", 1)
	}
	other := calm(60, `namespace="rta", job="other", instance="o"`)
	return situation{name: "one of two installations is gone", scenes: []*scene{s, other}, at: map[int][]string{30: nil, 45: {"StreamkeeperAbsent"}}}
}

// daily is a clean-up once a day that does not come from the second day on, and a
// trim every 30 seconds that stands still for ten minutes.
func daily() []situation {
	const days = 5 * 24 * 60
	s := daemonScene(days)
	s.ours("job_period_seconds", `exported_job="cleanup"`, "86400")
	s.ours("job_last_success_timestamp_seconds", `exported_job="cleanup"`, fmt.Sprintf("60x1440 86400x%d", days-1440))
	s.ours("job_last_run_timestamp_seconds", `exported_job="cleanup"`, fmt.Sprintf("60x1440 86400x%d", days-1440))
	stood := daemonScene(60)
	stood.ours("job_last_success_timestamp_seconds", `exported_job="trim"`, "0+60x20 1200x39")
	overdue := []string{"StreamkeeperNoSuccessfulRun"}
	return []situation{
		{name: "daily clean-up", scenes: []*scene{s}, at: map[int][]string{60: nil, 1439: nil, 4 * 1440: nil, 4*1440 + 10: overdue}},
		{name: "a trim that stands for ten minutes", scenes: []*scene{stood}, at: map[int][]string{22: nil, 30: overdue}},
	}
}

func dryRun() situation {
	s := daemonScene(240)
	s.ours("dry_run", "", "1")
	s.ours("stream_entries", `stream="full"`, "0+1000x240")
	s.ours("stream_limit_age_seconds", `stream="full"`, "60")
	s.ours("brake_tripped", `exported_job="cleanup"`, "1")
	return situation{name: "a dry run", scenes: []*scene{s}, at: map[int][]string{60: nil, 239: nil}}
}

func guard() []situation {
	released, stuck := daemonScene(240), daemonScene(240)
	released.ours("brake_tripped", `exported_job="cleanup"`, "0x10 1x62 0x168")
	stuck.ours("brake_tripped", `exported_job="cleanup"`, "0x10 1x230")
	return []situation{
		{name: "the guard trips and releases by itself", scenes: []*scene{released}, at: map[int][]string{30: nil, 71: nil, 200: nil}},
		{name: "the guard goes on holding", scenes: []*scene{stuck}, at: map[int][]string{80: nil, 100: {"StreamkeeperBrakeTripped"}}},
	}
}

func findings() []situation {
	invalid, lost, wide, held, malformed := daemonScene(120), daemonScene(60), daemonScene(60), daemonScene(120), daemonScene(26*60)
	invalid.stream("new")
	for series := range invalid.series {
		if strings.Contains(series, `stream="new"`) {
			invalid.series[series] = "_x40 " + strings.Replace(invalid.series[series], "x120", "x79", 1)
		}
	}
	invalid.ours("last_run_invalid_messages", `stream="new"`, "_x40 3x5 0x74")
	lost.ours("registry_lost", "", "0x20 1x5 0x35")
	wide.ours("stream_entries", `stream="full"`, "14000")
	wide.ours("stream_node_entries", `stream="full"`, "2500")
	held.ours("stream_limit_age_seconds", `stream="full"`, "300")
	malformed.ours("sessions", `state="malformed"`, "2x1559")
	return []situation{
		{
			name: "the first messages of a new stream are invalid", scenes: []*scene{invalid},
			at: map[int][]string{39: nil, 42: {"StreamkeeperInvalidMessages"}, 60: {"StreamkeeperInvalidMessages"}, 80: nil},
		},
		{name: "the registry is lost", scenes: []*scene{lost}, at: map[int][]string{19: nil, 22: {"StreamkeeperRegistryLost"}, 30: nil}},
		{name: "macro nodes are large", scenes: []*scene{wide}, at: map[int][]string{59: nil}},
		{name: "a group holds entries over their age", scenes: []*scene{held}, at: map[int][]string{20: nil, 40: {"StreamkeeperStreamOverAge"}}},
		{name: "malformed sessions stay", scenes: []*scene{malformed}, at: map[int][]string{1300: nil, 1450: {"StreamkeeperMalformedSessions"}}},
	}
}

// onceScene is what hourly runs of once leave; there are no counters that grow.
func onceScene(minutes int, labels string) *scene {
	s := calm(minutes, labels)
	s.ours("one_shot", "", "1")
	hours := ""
	for hour := range minutes / 60 {
		hours += fmt.Sprintf("%dx59 ", max(1, hour*3600))
	}
	for _, job := range []string{"trim", "cleanup", "inspect", "metrics"} {
		label := fmt.Sprintf("exported_job=%q", job)
		s.ours("job_last_success_timestamp_seconds", label, strings.TrimSpace(hours))
		s.ours("job_last_run_timestamp_seconds", label, strings.TrimSpace(hours))
		s.ours("job_period_seconds", label, "3600")
	}
	s.ours("job_period_seconds", `exported_job="metrics"`, "0")
	s.ours("trim_entries_removed_total", `stream="full", reason="length"`, "600")
	s.ours("leader", "", "1")
	return s
}

// once is each way in which once leaves its metrics, over three hours, and what
// goes wrong there.
func once() (all []situation) {
	for way, labels := range map[string]string{"at a Pushgateway": sk, "in a file": sk + `, instance="node:9100"`} {
		good := onceScene(180, labels)
		fails := onceScene(600, labels)
		fails.ours("job_last_run_ok", `exported_job="cleanup"`, "1x59 0x540")
		fails.ours("job_last_success_timestamp_seconds", `exported_job="cleanup"`, "1x599")
		stopped, unknown := onceScene(600, labels), onceScene(600, labels)
		for _, s := range []*scene{stopped, unknown} {
			for _, job := range []string{"trim", "cleanup", "inspect", "metrics"} {
				s.ours("job_last_success_timestamp_seconds", fmt.Sprintf("exported_job=%q", job), "1x599")
				s.ours("job_last_run_timestamp_seconds", fmt.Sprintf("exported_job=%q", job), "1x599")
			}
		}
		for _, job := range []string{"trim", "cleanup", "inspect"} {
			unknown.ours("job_period_seconds", fmt.Sprintf("exported_job=%q", job), "0")
		}
		lost := onceScene(180, labels)
		lost.ours("redis_up", "", "1x59 0x59 1x60")
		for _, job := range []string{"trim", "cleanup", "inspect", "metrics"} {
			lost.ours("job_last_run_ok", fmt.Sprintf("exported_job=%q", job), "1x59 0x59 1x60")
		}
		found := onceScene(180, labels)
		found.ours("last_run_invalid_messages", `stream="full"`, "0x59 2x120")
		found.ours("clocks_disagree", `exported_job="cleanup"`, "0x119 1x60")
		found.ours("job_last_run_ok", `exported_job="cleanup"`, "1x119 0x60")
		found.ours("stream_coverage_seconds", `stream="full"`, "600x119 20x60")
		failing, overdue := "StreamkeeperJobFailing", []string{"StreamkeeperOnceOverdue"}
		all = append(all,
			situation{name: "hourly once leaves its metrics " + way, scenes: []*scene{good}, at: map[int][]string{50: nil, 100: nil, 179: nil}},
			situation{name: "once fails, " + way, scenes: []*scene{fails}, at: map[int][]string{
				59: nil, 100: {failing}, 170: {failing}, 200: {failing, "StreamkeeperOnceOverdue"},
			}},
			situation{name: "once is not started, " + way, scenes: []*scene{stopped}, at: map[int][]string{170: nil, 190: overdue}},
			situation{name: "once of an unknown period is not started, " + way, scenes: []*scene{unknown}, at: map[int][]string{170: nil, 190: overdue}},
			situation{name: "once cannot reach Redis, " + way, scenes: []*scene{lost}, at: map[int][]string{
				59: nil, 90: {"StreamkeeperRedisUnreachable"}, 125: nil, 179: nil,
			}},
			situation{name: "once finds something, " + way, scenes: []*scene{found}, at: map[int][]string{
				59: nil, 70: {"StreamkeeperInvalidMessages"},
				150: {"StreamkeeperInvalidMessages", "StreamkeeperClocksDisagree", "StreamkeeperCoverageLow"},
			}},
		)
	}
	return all
}

func situations() []situation {
	return slices.Concat([]situation{steady(), failover(), away(true), away(false), twoInstallations(), gone(), dryRun()},
		daily(), guard(), findings(), once())
}

// promtoolTest is the situations as promtool reads them. scoped rules are those
// of sk alone.
func promtoolTest(rules string, all []situation, scoped bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "rule_files: [%q]\nevaluation_interval: 1m\ntests:\n", rules)
	for _, s := range all {
		fmt.Fprintf(&b, "  - name: %q\n    interval: 1m\n    input_series:\n", s.name)
		for _, scene := range s.scenes {
			for _, series := range slices.Sorted(maps.Keys(scene.series)) {
				fmt.Fprintf(&b, "      - {series: '%s', values: '%s'}\n", series, scene.series[series])
			}
		}
		b.WriteString("    promql_expr_test:\n")
		for minute, alerts := range s.at {
			fmt.Fprintf(&b, "      - expr: group by (alertname, job) (ALERTS{alertstate=\"firing\"})\n        eval_time: %dm\n        exp_samples:\n", minute)
			samples := make([]string, 0, len(alerts))
			for _, alert := range alerts {
				samples = append(samples, fmt.Sprintf(`{alertname="%s", job="sk"}`, alert))
			}
			if !scoped {
				for _, alert := range s.others[minute] {
					samples = append(samples, fmt.Sprintf(`{alertname="%s", job="other"}`, alert))
				}
			}
			if len(samples) == 0 {
				b.WriteString("          []\n")
			}
			for _, sample := range samples {
				fmt.Fprintf(&b, "          - {labels: '%s', value: 1}\n", sample)
			}
		}
	}
	return b.String()
}

func promtool(t *testing.T, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("promtool is missing: install the package prometheus")
		}
		t.Skip("promtool is missing: install the package prometheus")
	}
	if out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%.20000s", strings.Join(args, " "), err, out)
	}
}

func TestExactlyTheRightAlertsFire(t *testing.T) {
	t.Parallel()
	rules, err := filepath.Abs(rulesFile)
	mustDo(t, err)
	file := filepath.Join(t.TempDir(), "situations.yaml")
	mustDo(t, os.WriteFile(file, []byte(promtoolTest(rules, situations(), false)), 0o600))
	promtool(t, "test", "rules", file)
}

// renderedRules are the rules as the chart makes them for the job sk in the
// namespace rta, as a file for Prometheus.
func renderedRules(t *testing.T, more ...string) string {
	t.Helper()
	args := append([]string{
		"template", "sk", chartDir, "--namespace", "rta", "--kube-version", "1.34.4", "--show-only", "templates/rules.yaml",
		"--set", "fullnameOverride=sk,monitoring.scrape.kind=ServiceMonitor,monitoring.rules.enabled=true",
	}, more...)
	out, err := exec.CommandContext(t.Context(), chartHelm(t), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, groups, _ := strings.Cut(string(out), "\nspec:\n")
	file := filepath.Join(t.TempDir(), "rules.yaml")
	mustDo(t, os.WriteFile(file, []byte(strings.TrimPrefix(strings.ReplaceAll("\n"+groups, "\n  ", "\n"), "\n")), 0o600))
	return file
}

func TestTheRulesOfAnInstallationAreAboutItAlone(t *testing.T) {
	t.Parallel()
	rules := renderedRules(t)
	file := filepath.Join(t.TempDir(), "situations.yaml")
	mustDo(t, os.WriteFile(file, []byte(promtoolTest(rules, situations(), true)), 0o600))
	promtool(t, "test", "rules", file)
}
