package doctest

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// firingAlerts asks for all that fire, by the labels that tell what each is about.
const firingAlerts = `group by (alertname, namespace, job, exported_job, stream) (ALERTS{alertstate="firing"})`

// sample is an alert of a situation as promtool writes a series.
func sample(of, alert string) string {
	name, labels, _ := strings.Cut(alert, " ")
	return "{" + strings.TrimSuffix(fmt.Sprintf("alertname=%q, %s, %s", name, of, labels), ", ") + "}"
}

// promtoolTest is the situations as promtool reads them, which are all evaluated
// at that interval. Scoped rules are those of the one installation alone.
func promtoolTest(t *testing.T, rules string, all []situation, every int, scoped bool) string {
	t.Helper()
	text, err := os.ReadFile(rules)
	mustDo(t, err)
	var alerts []string
	for _, m := range regexp.MustCompile(`(?m)^ *- alert: (\w+)$`).FindAllStringSubmatch(string(text), -1) {
		alerts = append(alerts, m[1])
	}
	if len(alerts) < 20 {
		t.Fatalf("%s has %d alerts", rules, len(alerts))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "rule_files: [%q]\nevaluation_interval: %dm\ntests:\n", rules, every)
	for _, s := range all {
		fmt.Fprintf(&b, "  - name: %q\n    interval: 1m\n    input_series:\n", s.name)
		for _, scene := range s.scenes {
			for _, series := range slices.Sorted(maps.Keys(scene.series)) {
				fmt.Fprintf(&b, "      - {series: '%s', values: '%s'}\n", series, scene.series[series])
			}
		}
		b.WriteString(s.expectations(alerts, scoped))
	}
	return b.String()
}

// expectations are what fires at each minute of the situation. Each of the alerts
// that are not to fire is asked for besides, as Prometheus would send it.
func (s situation) expectations(alerts []string, scoped bool) string {
	var fire, silent strings.Builder
	for minute, all := range s.at {
		var samples []string
		for _, alert := range all {
			samples = append(samples, sample(s.way.of, alert))
		}
		if !scoped {
			for _, alert := range s.others[minute] {
				samples = append(samples, sample(s.way.ofOther, alert))
			}
		}
		fmt.Fprintf(&fire, "      - expr: %s\n        eval_time: %dm\n        exp_samples:\n", firingAlerts, minute)
		if len(samples) == 0 {
			fire.WriteString("          []\n")
		}
		for _, sample := range samples {
			fmt.Fprintf(&fire, "          - {labels: '%s', value: 1}\n", sample)
		}
		for _, alert := range alerts {
			if !strings.Contains(strings.Join(samples, ""), `"`+alert+`"`) {
				fmt.Fprintf(&silent, "      - {alertname: %s, eval_time: %dm}\n", alert, minute)
			}
		}
	}
	return "    promql_expr_test:\n" + fire.String() + "    alert_rule_test:\n" + silent.String()
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

// judge has promtool judge rules in situations.
func judge(t *testing.T, rules string, all []situation, scoped bool) {
	t.Helper()
	dir := t.TempDir()
	paces := make(map[int][]situation)
	for _, s := range all {
		every := max(2, s.every)
		paces[every] = append(paces[every], s)
	}
	args := []string{"test", "rules"}
	for every, these := range paces {
		file := filepath.Join(dir, fmt.Sprintf("every-%d.yaml", every))
		mustDo(t, os.WriteFile(file, []byte(promtoolTest(t, rules, these, every, scoped)), 0o600))
		args = append(args, file)
	}
	promtool(t, args...)
}

func TestExactlyTheRightAlertsFire(t *testing.T) {
	t.Parallel()
	rules, err := filepath.Abs(rulesFile)
	mustDo(t, err)
	judge(t, rules, situations(), false)
}

// renderedRules are the rules as the chart makes them for the release sk in the
// namespace rta, as a file for Prometheus.
func renderedRules(t *testing.T, more ...string) string {
	t.Helper()
	args := append([]string{
		"template", "sk", chartDir, "--namespace", "rta", "--kube-version", "1.34.4", "--show-only", "templates/rules.yaml",
		"--set", "fullnameOverride=sk,monitoring.rules.enabled=true",
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

// ruleText is what an alert's rule asks for: its expression, and for how long it is to
// hold, without the layout of the text.
var ruleText = regexp.MustCompile(`(?s)\bexpr: (?:\|-?)?(.*?)\s(?:labels|annotations):`)

// forRemark is a remark of the file, which the chart does not keep, as it is not in an
// expression.
var forRemark = regexp.MustCompile(`(?m)^( *for: \w+) #.*$`)

// ruleTexts are those of all alerts of a file.
func ruleTexts(text string) map[string]string {
	texts := make(map[string]string)
	for _, rule := range strings.Split(forRemark.ReplaceAllString(text, "$1"), "- alert: ")[1:] {
		if m := ruleText.FindStringSubmatch(rule); m != nil {
			texts[strings.Fields(rule)[0]] = strings.Join(strings.Fields(m[1]), " ")
		}
	}
	return texts
}

// The rules that the chart makes for an installation ask for its series, and beyond
// that for what the rules do that are tested in all situations. They are judged where
// that matters: beside another installation.
func TestTheRulesOfAnInstallationAreAboutItAlone(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(rulesFile)
	mustDo(t, err)
	general := ruleTexts(string(text))
	if len(general) < 20 {
		t.Fatalf("%d rules are read from %s", len(general), rulesFile)
	}
	for _, w := range []way{scraped, pushed, filed} {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			rules := renderedRules(t, w.values...)
			text, err := os.ReadFile(rules)
			mustDo(t, err)
			for _, series := range regexp.MustCompile(`\b(?:streamkeeper|process)_[a-z_]+(?:\{[^}]*\})?`).FindAllString(string(text), -1) {
				if !strings.Contains(series, "{"+w.of) {
					t.Errorf("%s is about others, too", series)
				}
			}
			ofAll := strings.NewReplacer("{"+w.of+", ", "{", "{"+w.of+"}", "{}").Replace(string(text))
			rendered := ruleTexts(ofAll)
			for alert, want := range general {
				if got := rendered[alert]; got != want {
					t.Errorf("%s asks for more than whom it is about:\n%s\nwant\n%s", alert, got, want)
				}
			}
			judge(t, rules, []situation{twoInstallations(w)}, true)
		})
	}
}
