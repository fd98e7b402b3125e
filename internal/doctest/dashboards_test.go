package doctest

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

const (
	dashboardFile  = "helm/streamkeeper/dashboards/streamkeeper.json"
	rulesFile      = "helm/streamkeeper/rules/streamkeeper.yaml"
	runbooksFile   = "docs/operations.md"
	anyPrometheus  = "${datasource}"
	ownMetricNames = `\bstreamkeeper_[a-z_]+`
)

// dashboard is what matters here of a Grafana dashboard.
type dashboard struct {
	Templating struct {
		List []struct {
			Name, Type, Query string
			Datasource        *datasource
		}
	}
	Annotations struct {
		List []struct {
			Name, Expr string
			Datasource datasource
		}
	}
	Panels []panel
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               datasource
	GridPos                  struct{ X, Y, W, H int }
	Targets                  []struct {
		RefID      string
		Datasource datasource
		Expr       string

		LegendFormat string
	}
}

type datasource struct{ Type, UID string }

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	mustDo(t, json.Unmarshal(text, &d))
	return d
}

// query is an expression of a panel, a variable, an annotation or a rule.
type query struct{ where, expr string }

func (d dashboard) queries() (all []query) {
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			all = append(all, query{p.Title + " " + target.RefID, target.Expr})
		}
	}
	for _, a := range d.Annotations.List {
		all = append(all, query{"annotation " + a.Name, a.Expr})
	}
	return all
}

// metricsPage is what a daemon says that has next to nothing to do. It has a
// stream, without which there is no coverage.
func metricsPage(t *testing.T) (page string) {
	t.Helper()
	server := redistest.Start(t)
	mustDo(t, server.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:s", Values: []any{"id", 1}}).Err())
	mustDo(t, server.Client.SAdd(t.Context(), "streams", "s").Err())
	instance := program.Start(t, server.URL(), nil)
	program.Eventually(t, 20*time.Second, "the daemon has read the stream", func() bool {
		_, page = instance.Get("/metrics")
		return strings.Contains(page, "streamkeeper_stream_coverage_seconds{")
	})
	return page
}

// metricTypes are the types of all metrics on the page, by name.
func metricTypes(t *testing.T) map[string]string {
	t.Helper()
	types := make(map[string]string)
	for line := range strings.Lines(metricsPage(t)) {
		if fields := strings.Fields(line); len(fields) == 4 && fields[1] == "TYPE" {
			types[fields[2]] = fields[3]
		}
	}
	return types
}

// unknownMetrics are the names of ours in an expression that no scrape gives.
func unknownMetrics(expr string, types map[string]string) (unknown []string) {
	for _, name := range regexp.MustCompile(ownMetricNames).FindAllString(expr, -1) {
		if types[name] != "" && types[name] != "histogram" {
			continue
		}
		base := name
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			base = strings.TrimSuffix(base, suffix)
		}
		if base == name || types[base] != "histogram" {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

func TestEveryQueryOfTheDashboardNamesWhatIsThere(t *testing.T) {
	t.Parallel()
	d := readDashboard(t)
	types := metricTypes(t)
	defined := map[string]bool{"__rate_interval": true}
	for _, v := range d.Templating.List {
		defined[v.Name] = true
	}
	all := d.queries()
	for _, v := range d.Templating.List {
		all = append(all, query{"variable " + v.Name, v.Query})
	}
	used := make(map[string]bool)
	for _, q := range all {
		for _, name := range unknownMetrics(q.expr, types) {
			t.Errorf("%s: /metrics has no %s", q.where, name)
		}
		for _, v := range regexp.MustCompile(`\$\{?(\w+)`).FindAllStringSubmatch(q.expr, -1) {
			used[v[1]] = true
			if !defined[v[1]] {
				t.Errorf("%s: there is no variable %s", q.where, v[1])
			}
		}
	}
	for name := range defined {
		if !used[name] && name != "datasource" {
			t.Errorf("variable %s is not used", name)
		}
	}
}

// Two installations may be scraped by one Prometheus, of several clusters too.
func TestEveryPanelIsAboutTheChosenInstallationsAndNamesThem(t *testing.T) {
	t.Parallel()
	const chosen = `cluster=~"$cluster", namespace=~"$namespace", job=~"$job"`
	series := regexp.MustCompile(`\b(?:streamkeeper|process|go)_[a-z_]+(?:\{[^}]*\})?|\bALERTS(?:\{[^}]*\})?`)
	d := readDashboard(t)
	for _, q := range d.queries() {
		found := series.FindAllString(q.expr, -1)
		if len(found) == 0 {
			t.Errorf("%s asks for no series: %s", q.where, q.expr)
		}
		for _, one := range found {
			if !strings.Contains(one, chosen) {
				t.Errorf("%s: %s is of all installations", q.where, one)
			}
		}
	}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			// The number of all alerts has nobody's name.
			if !strings.HasPrefix(target.LegendFormat, "{{cluster}} {{namespace}}/{{job}}") && !strings.HasPrefix(target.Expr, "count(ALERTS{") {
				t.Errorf("%s %s: the legend %q does not name the installation", p.Title, target.RefID, target.LegendFormat)
			}
		}
	}
}

func TestTheDashboardIsBoundToNoDataSource(t *testing.T) {
	t.Parallel()
	d := readDashboard(t)
	bound := func(where string, source datasource) {
		if source != (datasource{"prometheus", anyPrometheus}) {
			t.Errorf("%s has the data source %+v", where, source)
		}
	}
	for _, v := range d.Templating.List {
		if v.Type == "query" {
			if v.Datasource == nil {
				t.Errorf("variable %s has no data source", v.Name)
				continue
			}
			bound("variable "+v.Name, *v.Datasource)
		}
	}
	for _, a := range d.Annotations.List {
		bound("annotation "+a.Name, a.Datasource)
	}
	for _, p := range d.Panels {
		if p.Type == "row" {
			continue
		}
		bound(p.Title, p.Datasource)
		for _, target := range p.Targets {
			bound(p.Title+" "+target.RefID, target.Datasource)
		}
	}
}

func TestThePanelsAreDescribedAndDoNotOverlap(t *testing.T) {
	t.Parallel()
	ids, cells := make(map[int]string), make(map[[2]int]string)
	for _, p := range readDashboard(t).Panels {
		if other, ok := ids[p.ID]; ok {
			t.Errorf("%s has the id of %s", p.Title, other)
		}
		ids[p.ID] = p.Title
		if p.Title == "" || p.Type != "row" && (p.Description == "" || len(p.Targets) == 0) {
			t.Errorf("panel %d (%s) has no title, description or query", p.ID, p.Title)
		}
		g := p.GridPos
		if g.X+g.W > 24 {
			t.Errorf("%s is past the right edge", p.Title)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other, ok := cells[[2]int{x, y}]; ok {
					t.Fatalf("%s lies on %s", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
	}
}

func TestEveryMetricIsOnTheDashboard(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for _, q := range readDashboard(t).queries() {
		all.WriteString(q.expr + "\n")
	}
	for _, name := range slices.Sorted(maps.Keys(metricTypes(t))) {
		if strings.HasPrefix(name, "streamkeeper_") && !regexp.MustCompile(`\b`+name+`(_bucket)?\b`).MatchString(all.String()) {
			t.Errorf("no panel shows %s", name)
		}
	}
}

func TestEveryRuleNamesWhatIsThereAndHasARunbook(t *testing.T) {
	t.Parallel()
	rules, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	if unknown := unknownMetrics(string(rules), metricTypes(t)); len(unknown) > 0 {
		t.Errorf("/metrics has no %v", unknown)
	}
	runbooks, err := os.ReadFile(runbooksFile)
	if err != nil {
		t.Fatal(err)
	}
	alerts := regexp.MustCompile(`(?s)- alert: (\w+)\n(.*?)\n +runbook_url: (\S+)\n`).FindAllStringSubmatch(string(rules), -1)
	if len(alerts) != strings.Count(string(rules), "- alert:") {
		t.Error("a rule has no runbook")
	}
	for _, a := range alerts {
		name, body, link := a[1], a[2], a[3]
		if !strings.HasSuffix(link, "/docs/operations.md#"+strings.ToLower(name)) {
			t.Errorf("%s has the runbook %s", name, link)
		}
		if !strings.Contains(string(runbooks), "\n### "+name+"\n") {
			t.Errorf("%s has no section %s", runbooksFile, name)
		}
		for _, want := range []string{"severity: ", "summary: ", "description: "} {
			if !strings.Contains(body, want) {
				t.Errorf("%s has no %s", name, want)
			}
		}
	}
}

func TestTheOperationsGuideNamesEveryMetric(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile(runbooksFile)
	if err != nil {
		t.Fatal(err)
	}
	types := metricTypes(t)
	for _, name := range slices.Sorted(maps.Keys(types)) {
		if strings.HasPrefix(name, "streamkeeper_") && !strings.Contains(string(guide), "`"+name+"`") {
			t.Errorf("%s does not name %s", runbooksFile, name)
		}
	}
	for _, name := range regexp.MustCompile(ownMetricNames).FindAllString(string(guide), -1) {
		if types[name] == "" {
			t.Errorf("%s names %s, which /metrics does not have", runbooksFile, name)
		}
	}
}

// jsonString is a value as JSON, for messages.
func jsonString(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}
