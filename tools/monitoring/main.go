// Command monitoring writes the alert rules and the dashboard as the mixin makes
// them, with a selector and thresholds of one's own: a folder for Prometheus and
// Grafana without jsonnet.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-jsonnet"
	"sigs.k8s.io/yaml"
)

// config is the mixin's _config.
type config struct {
	Selector   string            `json:"selector"`
	Thresholds map[string]string `json:"thresholds"`
	Disabled   []string          `json:"disabled"`
	Dashboard  dashboard         `json:"dashboard"`
}

type dashboard struct {
	UID   string `json:"uid"`
	Title string `json:"title"`
}

// rendered is what the mixin makes.
type rendered struct {
	Alerts     json.RawMessage            `json:"alerts"`
	Dashboards map[string]json.RawMessage `json:"dashboards"`
}

func main() {
	c := config{Thresholds: make(map[string]string)}
	mixin := flag.String("mixin", "../../mixin/mixin.libsonnet", "the mixin")
	to := flag.String("to", "", "folder to write")
	flag.StringVar(&c.Selector, "selector", "", `what tells the installation from others, such as 'cluster="eu", job="streamkeeper"'`)
	flag.StringVar(&c.Dashboard.UID, "uid", "streamkeeper", "of the dashboard")
	flag.StringVar(&c.Dashboard.Title, "title", "streamkeeper", "of the dashboard")
	flag.Func("threshold", "NAME=VALUE, repeatable", func(text string) error {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return fmt.Errorf("want NAME=VALUE")
		}
		c.Thresholds[name] = value
		return nil
	})
	flag.Func("disable", "name of an alert to leave out, repeatable", func(text string) error {
		c.Disabled = append(c.Disabled, text)
		return nil
	})
	flag.Parse()
	if err := run(*mixin, *to, c); err != nil {
		fmt.Fprintln(os.Stderr, "monitoring:", err)
		os.Exit(1)
	}
}

func run(mixin, to string, c config) error {
	if to == "" {
		return fmt.Errorf("-to is missing")
	}
	r, err := render(mixin, c)
	if err != nil {
		return err
	}
	alerts, err := yaml.JSONToYAML(r.Alerts)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(to, "dashboards"), 0o750); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(to, "alerts.yaml"), alerts, 0o600); err != nil {
		return err
	}
	for name, text := range r.Dashboards {
		if err := os.WriteFile(filepath.Join(to, "dashboards", name), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// render evaluates the mixin with a configuration.
func render(mixin string, c config) (r rendered, err error) {
	if c.Disabled == nil {
		c.Disabled = []string{}
	}
	if c.Thresholds == nil {
		c.Thresholds = map[string]string{}
	}
	given, err := json.Marshal(c)
	if err != nil {
		return r, err
	}
	vm := jsonnet.MakeVM()
	vm.ExtCode("config", string(given))
	text, err := vm.EvaluateAnonymousSnippet("render.jsonnet", fmt.Sprintf(
		"local m = (import %q) + { _config+:: std.extVar('config') }; { alerts: m.prometheusAlerts, dashboards: m.grafanaDashboards }", mixin))
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal([]byte(text), &r)
}
