package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	grafana "github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
	"sigs.k8s.io/yaml"
)

const (
	mixinFile     = "../../mixin/mixin.libsonnet"
	rulesFile     = "../../helm/streamkeeper/rules/streamkeeper.yaml"
	dashboardFile = "../../helm/streamkeeper/dashboards/streamkeeper.json"
)

// Grafana ignores what it does not know: a misspelt option would have no effect.
func TestTheDashboardIsReadStrictly(t *testing.T) {
	runtime := cog.NewRuntime()
	runtime.RegisterDataqueryVariant(prometheus.VariantConfig())
	runtime.RegisterPanelcfgVariant(stat.VariantConfig())
	runtime.RegisterPanelcfgVariant(timeseries.VariantConfig())
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	strictly := func(text string) error {
		var d grafana.Dashboard
		err := d.UnmarshalJSONStrict([]byte(text))
		// An empty list of faults is not nil there.
		if faults, ok := errors.AsType[cog.BuildErrors](err); err != nil && (!ok || len(faults) > 0) {
			return err
		}
		return d.Validate()
	}
	if err := strictly(string(text)); err != nil {
		t.Error(err)
	}
	for right, wrong := range map[string]string{
		`"graphTooltip"`:       `"graphToolTip"`,
		`"legendFormat"`:       `"legend"`,
		`"reduceOptions"`:      `"reducedOptions"`,
		`"showPoints": "auto"`: `"showPoints": true`,
		`"refresh": 2`:         `"refresh": "often"`,
	} {
		if !strings.Contains(string(text), right) {
			t.Errorf("the dashboard has no %s", right)
		}
		if strictly(strings.Replace(string(text), right, wrong, 1)) == nil {
			t.Errorf("%s is taken for %s", wrong, right)
		}
	}
}

// groups are rules as Prometheus reads them.
type groups struct {
	Groups []struct {
		Rules []struct{ Alert, Expr, For string }
	}
}

func alertsOf(t *testing.T, r rendered) groups {
	t.Helper()
	var g groups
	if err := json.Unmarshal(r.Alerts, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestTheMixinIsTheRulesAndTheDashboard(t *testing.T) {
	r, err := render(mixinFile, config{Dashboard: dashboard{"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	if compact(t, r.Alerts) != compact(t, plain) {
		t.Errorf("the mixin has\n%s, and the file\n%s", r.Alerts, plain)
	}
	if d := r.Dashboards["streamkeeper.json"]; !strings.Contains(compact(t, d), `"uid":"a"`) || !strings.Contains(compact(t, d), `"title":"b"`) {
		t.Errorf("the dashboard is\n%s", d)
	}
}

func compact(t *testing.T, text []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestTheMixinTakesASelectorAndThresholds(t *testing.T) {
	to := t.TempDir()
	c := config{
		Selector: `cluster="eu", job=~"sk.*"`, Disabled: []string{"StreamkeeperAbsent"},
		Thresholds: map[string]string{"coverageSeconds": "300", "brakeFor": "3h"},
	}
	if err := run(mixinFile, to, c); err != nil {
		t.Fatal(err)
	}
	r, err := render(mixinFile, c)
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range alertsOf(t, r).Groups[0].Rules {
		if n, scoped := strings.Count(rule.Expr, "{"), strings.Count(rule.Expr, `{cluster="eu", job=~"sk.*"`); n != scoped {
			t.Errorf("%s: %d selectors, and %d of them scoped: %s", rule.Alert, n, scoped, rule.Expr)
		}
		switch rule.Alert {
		case "StreamkeeperAbsent":
			t.Error("an alert that is disabled is there")
		case "StreamkeeperCoverageLow":
			if !strings.Contains(rule.Expr, "< 300 # coverageSeconds") {
				t.Errorf("the threshold is not in %s", rule.Expr)
			}
		case "StreamkeeperBrakeTripped":
			if rule.For != "3h" {
				t.Errorf("it waits for %s", rule.For)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(to, "dashboards", "streamkeeper.json")); err != nil {
		t.Error(err)
	}
	check := exec.Command("promtool", "check", "rules", filepath.Join(to, "alerts.yaml"))
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	c.Thresholds["coverage"] = "1"
	if _, err := render(mixinFile, c); err == nil || !strings.Contains(err.Error(), "no rule has the threshold coverage") {
		t.Errorf("a threshold that is none: %v", err)
	}
}
