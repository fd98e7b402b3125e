package metrics

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Ending is how the only run of a job in this process ended.
type Ending int

const (
	// Broken is a run that did not come to its end: what it counted means little.
	Broken Ending = iota + 1
	// Idle is one that looked at nothing, as all is paused: that is well, and says
	// nothing of what there is.
	Idle
	// Flawed is one that came to its end, though single items failed.
	Flawed
	// Good is one that went well.
	Good
)

// Endings are those of the jobs that this process did; the others are not in it.
type Endings map[string]Ending

// ofEveryRun are the families in which a run that broke off has the last word,
// too.
func ofEveryRun() []string {
	return []string{
		"streamkeeper_job_runs_total", "streamkeeper_job_duration_seconds", "streamkeeper_job_last_run_timestamp_seconds",
		"streamkeeper_job_last_run_ok", "streamkeeper_job_period_seconds", "streamkeeper_clocks_disagree",
	}
}

// successFamily says when a run last went well: a later one that does not knows
// nothing of it.
const successFamily = "streamkeeper_job_last_success_timestamp_seconds"

// news decides which of the series of a process that ends are news, and which
// are known better by those before it.
type news struct {
	endings Endings
	owners  map[string]string
	always  map[string]bool
}

func (m *Metrics) news(endings Endings) news {
	n := news{endings: endings, owners: m.owners, always: make(map[string]bool)}
	for _, family := range ofEveryRun() {
		n.always[family] = true
	}
	return n
}

// owner is the job that a series is of; empty for the process as a whole.
func (n news) owner(family string, metric *dto.Metric) string {
	owner := n.owners[family]
	if owner != ownerLabel {
		return owner
	}
	for _, l := range metric.GetLabel() {
		if l.GetName() == "job" {
			return l.GetValue()
		}
	}
	return ""
}

// has reports whether what this process says of a job in a family is news.
func (n news) has(family, owner string) bool {
	if owner == "" {
		return true
	}
	switch ending := n.endings[owner]; {
	case family == successFamily:
		return ending == Good || ending == Idle
	case n.always[family]:
		return ending >= Broken
	default:
		return ending >= Flawed
	}
}

// WriteFile leaves the series in a file for node_exporter's textfile collector,
// whose name must end in .prom. The file is replaced at once, never seen half
// written. What it said before stays where this process has no news: of jobs
// that it did not do, and what the last good run found of a job that broke off.
// The series of the Go runtime are left out: node_exporter has its own under the
// same names.
func (m *Metrics) WriteFile(path string, endings Endings) error {
	unlock := lockFolder(filepath.Dir(path))
	defer unlock()
	before := readFile(path)
	n := m.news(endings)
	merged := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		families, err := m.ours.Gather()
		for _, family := range families {
			family.Metric = n.merge(family, before[family.GetName()])
		}
		return families, err
	})
	if err := prometheus.WriteToTextfile(path, merged); err != nil {
		return fmt.Errorf("writing metrics to %s: %w", path, err)
	}
	return nil
}

// merge is the series of a family: of each job from whoever knows them best.
func (n news) merge(now, before *dto.MetricFamily) []*dto.Metric {
	if before.GetType() != now.GetType() {
		before = nil // of another version
	}
	var all []*dto.Metric
	known := make(map[string]bool) // jobs of which the file has said something
	for _, metric := range before.GetMetric() {
		if owner := n.owner(now.GetName(), metric); !n.has(now.GetName(), owner) {
			known[owner] = true
			all = append(all, metric)
		}
	}
	for _, metric := range now.GetMetric() {
		if owner := n.owner(now.GetName(), metric); !known[owner] {
			all = append(all, metric)
		}
	}
	return all
}

// readFile reads what a file of ours says; nothing if there is none, or if it is
// not one that we have written.
func readFile(path string) map[string]*dto.MetricFamily {
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(file)
	if err != nil {
		return nil
	}
	return families
}
