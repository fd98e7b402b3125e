package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
)

// dryRun has the API server judge the manifests of both modes, and a spoilt one.
func (t *trial) dryRun(ctx context.Context) error {
	for _, mode := range []string{"daemon", "cronjob"} {
		// Without hooks, because a Pod is refused before its ServiceAccount is there.
		text, err := t.output(ctx, nil, "helm", append([]string{"template", release, t.chart, "--no-hooks"}, t.values(mode)...)...)
		if err != nil {
			t.quote(string(text))
			return err
		}
		if err := t.pipe(ctx, text, "kubectl", judge()...); err != nil {
			return err
		}
		spoilt := bytes.ReplaceAll(text, []byte("\nspec:\n"), []byte("\nspec:\n  colour: red\n"))
		if text, err = t.output(ctx, spoilt, "kubectl", judge()...); err == nil || !bytes.Contains(text, []byte(`unknown field "spec.colour"`)) {
			t.quote(string(text))
			return errors.New("an unknown field was not refused")
		}
	}
	t.say("with an unknown field both are refused")
	return nil
}

// judge is kubectl's arguments for judging manifests.
func judge() []string {
	return []string{"apply", "--dry-run=server", "--validate=strict", "--warnings-as-errors", "-f", "-"}
}

// judgeAll has the API server judge what each of the chart's ci/ files makes.
func (c *cluster) judgeAll(ctx context.Context, chart string) error {
	files, err := filepath.Glob(filepath.Join(chart, "ci", "*.yaml"))
	if err != nil {
		return err
	}
	there := map[string]bool{"default": true}
	for _, file := range files {
		c.say("%s", filepath.Base(file))
		text, err := c.output(ctx, nil, "helm", "template", release, chart, "--no-hooks", "--namespace=default", "--values", file)
		if err == nil {
			err = c.createNamespaces(ctx, text, there)
		}
		if err == nil {
			text, err = c.output(ctx, text, "kubectl", judge()...)
		}
		c.quote(string(text))
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

var namespaced = regexp.MustCompile(`(?m)^ {2}namespace: "?([^"\s]+)"?$`)

// createNamespaces creates those that manifests name, as whoever installs them would.
func (c *cluster) createNamespaces(ctx context.Context, manifests []byte, there map[string]bool) error {
	for _, found := range namespaced.FindAllSubmatch(manifests, -1) {
		name := string(found[1])
		if there[name] {
			continue
		}
		there[name] = true
		if err := c.run(ctx, "kubectl", "create", "namespace", name); err != nil {
			return err
		}
	}
	return nil
}
