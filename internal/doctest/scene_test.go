package doctest

import (
	"fmt"
	"strings"
)

// What a Prometheus has of an installation in a situation, and exactly which
// alerts fire then. promtool judges the rules as they lie in the repository,
// and as the chart makes them for an installation that is run in that way.

// way is how an installation is run, and so how its metrics reach Prometheus.
type way struct {
	name string
	// of tells its series from others, and ofOther those of another installation.
	of, ofOther string
	// values are those of the chart.
	values []string
	// pushed series of a job have its name besides, as the label of a group.
	pushed bool
}

var (
	scraped = way{
		name: "a daemon", of: `namespace="rta", job="sk"`, ofOther: `namespace="rta", job="other"`,
		values: []string{"--set", "monitoring.scrape.kind=ServiceMonitor"},
	}
	pushed = way{
		name: "once, at a Pushgateway", of: `namespace="rta", job="sk"`, ofOther: `namespace="rta", job="other"`,
		values: []string{"--set", "mode=cronjob,metrics.push.url=http://pushgateway:9091"}, pushed: true,
	}
	// Each node_exporter has a label of its own, and one job for all.
	filed = way{
		name: "once, in a file", of: `namespace="rta", job="node"`, ofOther: `namespace="other", job="node"`,
		values: []string{"--set", `mode=cronjob,metrics.file=/textfile/sk.prom,monitoring.selector=namespace="rta"\, job="node"`},
	}
)

// labels are those that tell the series of a target from all others.
func (w way) labels(of, target string) string {
	if w.pushed {
		return of
	}
	return fmt.Sprintf("%s, instance=%q", of, target)
}

// group is the label that a Pushgateway adds to the series of a job.
func (w way) group(job string) string {
	if w.pushed {
		return fmt.Sprintf("exported_job=%q", job)
	}
	return ""
}

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
	key := name + "{" + strings.Trim(s.labels+", "+strings.Trim(labels, ", "), ", ") + "}"
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
	s.ours("paused", label, "0")
}

// stream is one that is always at its limit.
func (s *scene) stream(w way, name string) {
	label := fmt.Sprintf("stream=%q", name)
	s.ours("stream_entries", label, "10090")
	s.ours("stream_limit_entries", label, "10000")
	s.ours("stream_node_entries", label, "100")
	s.ours("stream_limit_age_seconds", label, "0")
	s.ours("stream_bytes", label, "1000000")
	s.ours("stream_limit_bytes", label, "0")
	s.ours("stream_protected_entries", label+`, by="pause"`, "0")
	s.ours("stream_coverage_seconds", label, "600")
	s.ours("stream_idle_seconds", label, "1")
	s.ours("trim_entries_removed_total", w.group("trim")+", "+label+`, reason="length"`, fmt.Sprintf("0+600x%d", s.minutes))
	s.ours("last_run_invalid_messages", w.group("inspect")+", "+label, "0")
}

// calm is an installation in which all is well.
func calm(w way, minutes int, labels string) *scene {
	s := newScene(minutes, labels)
	for name, value := range map[string]string{
		"build_info": "1", "config_last_reload_successful": "1", "redis_up": "1", "leader": "1", "dry_run": "0", "one_shot": "0", "process_start_time_seconds": "1",
		"streams": "2", "redis_memory_used_bytes": "50", "redis_memory_max_bytes": "100",
	} {
		s.ours(name, "", value)
	}
	s.ours("registry_lost", w.group("cleanup"), "0")
	s.ours("sessions", w.group("cleanup")+`, state="malformed"`, "0")
	s.ours("doctor_findings", w.group("cleanup")+`, check="eviction", severity="error"`, "0")
	for name, period := range map[string]int{"trim": 30, "cleanup": 300, "inspect": 300, "metrics": 30} {
		s.job(name, period)
	}
	s.stream(w, "full")
	// The sum of those without a label of their own.
	s.ours("stream_entries", `stream="_other"`, "900000")
	s.ours("stream_limit_entries", `stream="_other"`, "0")
	s.ours("stream_bytes", `stream="_other"`, "90000000")
	s.ours("stream_limit_bytes", `stream="_other"`, "0")
	s.ours("trim_entries_removed_total", w.group("trim")+`, stream="_other", reason="length"`, fmt.Sprintf("0+600x%d", minutes))
	return s
}

func daemonScene(minutes int) *scene { return calm(scraped, minutes, scraped.labels(scraped.of, "a")) }
