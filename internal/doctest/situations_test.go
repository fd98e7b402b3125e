package doctest

import (
	"fmt"
	"slices"
	"strings"
)

// situation is scenes side by side, and the alerts that fire at a minute: the
// name of each, and the labels that it has besides those of the installation.
type situation struct {
	name   string
	way    way
	scenes []*scene
	at     map[int][]string
	// others are the alerts that the rules of nobody in particular raise besides,
	// of the other installation.
	others map[int][]string
	// every is how many minutes lie between two evaluations, 2 if it is 0: what
	// takes days is judged less often. Each minute at which something is to fire is one of them,
	// or the next.
	every int
}

// slow is a situation that lasts for hours or days.
func slow(every int, s situation) situation {
	s.every = every
	return s
}

// ofDaemon is a situation of one daemon.
func ofDaemon(name string, s *scene, at map[int][]string) situation {
	return situation{name: name, way: scraped, scenes: []*scene{s}, at: at}
}

func situations() []situation {
	all := slices.Concat([]situation{steady(), failover(300), failover(86400), away(true), away(false), gone(), dryRun(), dryRunBeside()},
		daily(), guard(), findings(), limits(), paused())
	for _, w := range []way{pushed, filed} {
		all = append(all, once(w)...)
		all = append(all, onceFinds(w)...)
	}
	for _, w := range []way{scraped, pushed, filed} {
		all = append(all, twoInstallations(w))
	}
	return all
}

func steady() situation {
	s := daemonScene(60)
	for i := range 99 {
		s.stream(scraped, fmt.Sprint("s", i))
	}
	// One is read to the end, trimmed by age to nothing, and silent.
	s.stream(scraped, "ended")
	s.ours("stream_entries", `stream="ended"`, "0")
	s.ours("stream_coverage_seconds", `stream="ended"`, "0")
	s.ours("stream_idle_seconds", `stream="ended"`, "0+60x60")
	return ofDaemon("steady state with a hundred streams", s, map[int][]string{30: nil, 59: nil})
}

// failover is a leader that is killed, and a follower that takes over: it does
// every job at once. Both have been up for a week.
func failover(cleanupPeriod int) situation {
	a, b := daemonScene(90), calm(scraped, 90, scraped.labels(scraped.of, "b"))
	for _, s := range []*scene{a, b} {
		s.ours("job_period_seconds", `exported_job="cleanup"`, fmt.Sprint(cleanupPeriod))
		s.ours("process_start_time_seconds", "", "-600000")
	}
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
	if cleanupPeriod > 3600 {
		b.ours("job_last_success_timestamp_seconds", `exported_job="cleanup"`, "0x31 1920x58")
		b.ours("job_last_run_timestamp_seconds", `exported_job="cleanup"`, "0x31 1920x58")
	}
	return situation{
		name: fmt.Sprintf("failover, with a clean-up every %d s", cleanupPeriod), way: scraped, scenes: []*scene{a, b},
		at: map[int][]string{29: nil, 33: nil, 40: nil, 60: nil, 89: nil},
	}
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
	return ofDaemon(fmt.Sprintf("Redis away for 40 minutes, with a lease: %t", lease), s,
		map[int][]string{19: nil, 24: only, 40: only, 59: only, 62: nil, 70: nil, 80: nil, 119: nil})
}

// twoInstallations have streams of the same names, and one is in trouble.
func twoInstallations(w way) situation {
	of := onceScene
	if w.name == scraped.name {
		of = calm
	}
	quiet, other := of(w, 180, w.labels(w.of, "a")), of(w, 180, w.labels(w.ofOther, "o"))
	other.ours("redis_up", "", "0")
	other.ours("registry_lost", w.group("cleanup"), "1")
	other.ours("stream_entries", `stream="full"`, "20000")
	other.ours("stream_protected_entries", `stream="full", by="group"`, "10000") // its last run left them
	other.ours("last_run_invalid_messages", w.group("inspect")+`, stream="full"`, "3")
	ofOther := []string{
		"StreamkeeperRedisUnreachable", "StreamkeeperRegistryLost", `StreamkeeperStreamOverLimit stream="full"`, `StreamkeeperInvalidMessages stream="full"`,
	}
	return situation{
		name: "another installation with streams of the same names in trouble: " + w.name, way: w, scenes: []*scene{quiet, other},
		at:     map[int][]string{60: nil, 119: nil, 179: nil},
		others: map[int][]string{60: ofOther, 119: ofOther, 179: ofOther},
	}
}

func gone() situation {
	s := daemonScene(60)
	for series, values := range s.series {
		s.series[series] = strings.Replace(values, "x60", "x30 stale", 1)
	}
	other := calm(scraped, 60, scraped.labels(scraped.ofOther, "o"))
	return situation{
		name: "one of two installations is gone", way: scraped, scenes: []*scene{s, other}, at: map[int][]string{30: nil, 45: {"StreamkeeperAbsent"}},
	}
}

// daily is a clean-up once a day that comes no second time, and a
// trim every 30 seconds that stands still for ten minutes.
func daily() []situation {
	const days = 4 * 24 * 60
	s := daemonScene(days)
	s.ours("job_period_seconds", `exported_job="cleanup"`, "86400")
	s.ours("job_last_success_timestamp_seconds", `exported_job="cleanup"`, fmt.Sprintf("60x%d", days))
	s.ours("job_last_run_timestamp_seconds", `exported_job="cleanup"`, fmt.Sprintf("60x%d", days))
	stood := daemonScene(60)
	stood.ours("job_last_success_timestamp_seconds", `exported_job="trim"`, "0+60x20 1200x39")
	overdue := []string{`StreamkeeperNoSuccessfulRun exported_job="cleanup"`}
	return []situation{
		slow(30, ofDaemon("daily clean-up", s, map[int][]string{60: nil, 1440: nil, 3 * 1440: nil, 3*1440 + 60: overdue})),
		ofDaemon("a trim that stands for ten minutes", stood, map[int][]string{22: nil, 30: {`StreamkeeperNoSuccessfulRun exported_job="trim"`}}),
	}
}

func dryRun() situation {
	s := daemonScene(120)
	s.ours("dry_run", "", "1")
	s.ours("stream_entries", `stream="full"`, "0+1000x120")
	s.ours("stream_limit_age_seconds", `stream="full"`, "60")
	s.ours("stream_limit_bytes", `stream="full"`, "1000")
	s.ours("brake_tripped", `exported_job="cleanup"`, "1")
	return ofDaemon("a dry run", s, map[int][]string{60: nil, 119: nil})
}

// dryRunBeside is a dry run under the job of the real one.
func dryRunBeside() situation {
	a, b := daemonScene(60), calm(scraped, 60, scraped.labels(scraped.of, "b"))
	b.ours("dry_run", "", "1")
	b.ours("stream_entries", `stream="full"`, "20000")
	return situation{
		name: "a dry run beside the real one", way: scraped, scenes: []*scene{a, b}, at: map[int][]string{5: nil, 30: {"StreamkeeperSeveralLeaders"}},
	}
}

func guard() []situation {
	released, stuck := daemonScene(120), daemonScene(120)
	released.ours("brake_tripped", `exported_job="cleanup"`, "0x10 1x62 0x48")
	stuck.ours("brake_tripped", `exported_job="cleanup"`, "0x10 1x110")
	return []situation{
		ofDaemon("the guard trips and releases by itself", released, map[int][]string{30: nil, 71: nil, 119: nil}),
		ofDaemon("the guard goes on holding", stuck, map[int][]string{80: nil, 100: {`StreamkeeperBrakeTripped exported_job="cleanup"`}}),
	}
}

func findings() []situation {
	invalid, lost, malformed := daemonScene(120), daemonScene(60), daemonScene(26*60)
	invalid.stream(scraped, "new")
	for series := range invalid.series {
		if strings.Contains(series, `stream="new"`) {
			invalid.series[series] = "_x40 " + strings.Replace(invalid.series[series], "x120", "x79", 1)
		}
	}
	invalid.ours("last_run_invalid_messages", `stream="new"`, "_x40 3x5 0x74")
	lost.ours("registry_lost", "", "0x20 1x5 0x35")
	malformed.ours("sessions", `state="malformed"`, "2x1559")
	found := []string{`StreamkeeperInvalidMessages stream="new"`}
	return []situation{
		ofDaemon("the first messages of a new stream are invalid", invalid, map[int][]string{39: nil, 42: found, 60: found, 80: nil}),
		ofDaemon("the registry is lost", lost, map[int][]string{19: nil, 22: {"StreamkeeperRegistryLost"}, 30: nil}),
		slow(10, ofDaemon("malformed sessions stay", malformed, map[int][]string{1300: nil, 1450: {"StreamkeeperMalformedSessions"}})),
	}
}

func limits() []situation {
	wide, held, bytes := daemonScene(60), daemonScene(120), daemonScene(60)
	wide.ours("stream_entries", `stream="full"`, "14000")
	wide.ours("stream_node_entries", `stream="full"`, "2500")
	held.ours("stream_limit_age_seconds", `stream="full"`, "300")
	bytes.ours("stream_limit_bytes", `stream="full"`, "500000")
	return []situation{
		ofDaemon("macro nodes are large", wide, map[int][]string{59: nil}),
		ofDaemon("a group holds entries over their age", held, map[int][]string{20: nil, 40: {`StreamkeeperStreamOverAge stream="full"`}}),
		ofDaemon("entries take more memory than they may", bytes, map[int][]string{10: nil, 30: {`StreamkeeperStreamOverBytes stream="full"`}}),
	}
}

// paused is a pause that is forgotten: streams outgrow every limit, and the pause
// is what is said. A stream that it does not protect is another matter.
func paused() []situation {
	const minutes = 26 * 60
	whole, part := daemonScene(minutes), daemonScene(minutes)
	for _, s := range []*scene{whole, part} {
		s.ours("paused", `exported_job="trim"`, "0x9 1x1550")
		s.stream(scraped, "other")
		for _, stream := range []string{"full", "other"} {
			label := fmt.Sprintf("stream=%q", stream)
			s.ours("stream_entries", label, "20000")
			s.ours("stream_limit_age_seconds", label, "300")
			s.ours("stream_limit_bytes", label, "500000")
			s.ours("stream_protected_entries", label+`, by="pause"`, "10000")
		}
	}
	part.ours("stream_protected_entries", `stream="other", by="pause"`, "0")
	long := `StreamkeeperPausedLong exported_job="trim"`
	over := []string{
		`StreamkeeperStreamOverLimit stream="other"`, `StreamkeeperStreamOverAge stream="other"`, `StreamkeeperStreamOverBytes stream="other"`,
	}
	return []situation{
		slow(10, ofDaemon("a pause is forgotten", whole, map[int][]string{60: nil, 1440: nil, 1460: {long}})),
		slow(10, ofDaemon("a pause of some streams", part, map[int][]string{60: over, 1460: append([]string{long}, over...)})),
	}
}

// ourJobs are those that once does.
var ourJobs = []string{"trim", "cleanup", "inspect", "metrics"}

// onceScene is what hourly runs of once leave; there are no counters that grow.
func onceScene(w way, minutes int, labels string) *scene {
	s := calm(w, minutes, labels)
	s.ours("one_shot", "", "1")
	hours := ""
	for hour := range minutes / 60 {
		hours += fmt.Sprintf("%dx59 ", max(1, hour*3600))
	}
	for _, job := range ourJobs {
		label := fmt.Sprintf("exported_job=%q", job)
		s.ours("job_last_success_timestamp_seconds", label, strings.TrimSpace(hours))
		s.ours("job_last_run_timestamp_seconds", label, strings.TrimSpace(hours))
		s.ours("job_period_seconds", label, "3600")
	}
	s.ours("job_period_seconds", `exported_job="metrics"`, "0")
	s.ours("trim_entries_removed_total", w.group("trim")+`, stream="full", reason="length"`, "600")
	delete(s.series, "process_start_time_seconds{"+labels+"}") // it ends before anybody scrapes it
	return s
}

// ofOnce is a situation of one installation that runs once, each hour.
func ofOnce(w way, name string, s *scene, at map[int][]string) situation {
	return slow(5, situation{name: name + ": " + w.name, way: w, scenes: []*scene{s}, at: at})
}

// once is over three hours and more what can happen to its runs.
func once(w way) []situation {
	labels := w.labels(w.of, "node:9100")
	fails := onceScene(w, 240, labels)
	fails.ours("job_last_run_ok", `exported_job="cleanup"`, "1x59 0x180")
	fails.ours("job_last_success_timestamp_seconds", `exported_job="cleanup"`, "1x239")
	stopped, unknown := onceScene(w, 240, labels), onceScene(w, 240, labels)
	for _, s := range []*scene{stopped, unknown} {
		for _, job := range ourJobs {
			s.ours("job_last_success_timestamp_seconds", fmt.Sprintf("exported_job=%q", job), "1x239")
			s.ours("job_last_run_timestamp_seconds", fmt.Sprintf("exported_job=%q", job), "1x239")
		}
	}
	var overdue []string
	for _, job := range []string{"trim", "cleanup", "inspect"} {
		unknown.ours("job_period_seconds", fmt.Sprintf("exported_job=%q", job), "0")
		overdue = append(overdue, fmt.Sprintf("StreamkeeperOnceOverdue exported_job=%q", job))
	}
	lost := onceScene(w, 240, labels)
	lost.ours("redis_up", "", "1x59 0x59 1x120")
	for _, job := range ourJobs {
		lost.ours("job_last_run_ok", fmt.Sprintf("exported_job=%q", job), "1x59 0x59 1x120")
		lost.ours("job_last_success_timestamp_seconds", fmt.Sprintf("exported_job=%q", job), "1x119 7200x59 10800x60")
	}
	const days = 4 * 24 * 60
	daily := onceScene(w, days, labels)
	daily.ours("job_period_seconds", `exported_job="cleanup"`, "86400")
	daily.ours("job_last_success_timestamp_seconds", `exported_job="cleanup"`, fmt.Sprintf("60x%d", days))
	daily.ours("job_last_run_timestamp_seconds", `exported_job="cleanup"`, fmt.Sprintf("60x%d", days))
	failing := `StreamkeeperJobFailing exported_job="cleanup"`
	return []situation{
		ofOnce(w, "hourly runs", onceScene(w, 240, labels), map[int][]string{50: nil, 100: nil, 179: nil, 239: nil}),
		ofOnce(w, "a job fails", fails, map[int][]string{59: nil, 100: {failing}, 170: {failing}, 200: {failing, overdue[1]}}),
		ofOnce(w, "it is not started", stopped, map[int][]string{170: nil, 190: overdue}),
		ofOnce(w, "it is not started, and its period is not known", unknown, map[int][]string{170: nil, 190: overdue}),
		ofOnce(w, "it cannot reach Redis", lost, map[int][]string{59: nil, 90: {"StreamkeeperRedisUnreachable"}, 125: nil, 179: nil, 239: nil}),
		slow(30, ofOnce(w, "daily clean-up that ends", daily, map[int][]string{1500: nil, 3 * 1440: nil, 3*1440 + 60: {overdue[1]}})),
	}
}

// onceFinds is over three hours and more what its runs find.
func onceFinds(w way) []situation {
	labels := w.labels(w.of, "node:9100")
	found := onceScene(w, 180, labels)
	found.ours("last_run_invalid_messages", w.group("inspect")+`, stream="full"`, "0x59 2x120")
	found.ours("clocks_disagree", `exported_job="cleanup"`, "0x119 1x60")
	found.ours("job_last_run_ok", `exported_job="cleanup"`, "1x119 0x60")
	found.ours("stream_coverage_seconds", `stream="full"`, "600x119 20x60")
	guarded, lost, dry := onceScene(w, 240, labels), onceScene(w, 240, labels), onceScene(w, 240, labels)
	guarded.ours("brake_tripped", `exported_job="cleanup"`, "0x59 1x59 0x59 1x60")
	lost.ours("registry_lost", w.group("cleanup"), "0x59 1x59 0x120")
	dry.ours("dry_run", "", "1")
	dry.ours("stream_entries", `stream="full"`, "0+1000x240")
	dry.ours("stream_limit_age_seconds", `stream="full"`, "60")
	dry.ours("brake_tripped", `exported_job="cleanup"`, "1")
	stuck := onceScene(w, 240, labels)
	stuck.ours("brake_tripped", `exported_job="cleanup"`, "0x59 1x180")
	invalid := `StreamkeeperInvalidMessages stream="full"`
	return []situation{
		ofOnce(w, "its runs find something", found, map[int][]string{
			59: nil, 70: {invalid}, 150: {invalid, "StreamkeeperClocksDisagree", `StreamkeeperCoverageLow stream="full"`},
		}),
		ofOnce(w, "the guard releases in the next run", guarded, map[int][]string{59: nil, 110: nil, 179: nil, 239: nil}),
		ofOnce(w, "the guard goes on holding", stuck, map[int][]string{130: nil, 150: {`StreamkeeperBrakeTripped exported_job="cleanup"`}}),
		ofOnce(w, "the registry is lost", lost, map[int][]string{59: nil, 70: {"StreamkeeperRegistryLost"}, 121: nil, 239: nil}),
		ofOnce(w, "a dry run", dry, map[int][]string{60: nil, 239: nil}),
	}
}
