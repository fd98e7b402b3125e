package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	release  = "rta"
	instance = "app.kubernetes.io/instance=" + release
)

// trial takes one set of values through the life of a release.
type trial struct {
	*cluster
	set    set
	chart  string
	buffer *buffer
	// before is what there was before the installation.
	before inventory
}

func newTrial(c *cluster, s set, o options) *trial { return &trial{cluster: c, set: s, chart: o.chart} }

func (t *trial) run(ctx context.Context) error {
	one, other := t.set.mode, map[string]string{"daemon": "cronjob", "cronjob": "daemon"}[t.set.mode]
	for _, part := range []struct {
		title string
		do    func(context.Context) error
	}{
		{"a namespace, Secrets and a Redis", t.prepare},
		{"would the API server take it", t.dryRun},
		{"install as " + one, func(ctx context.Context) error { return t.helm(ctx, "install", one) }},
		{one + " works", func(ctx context.Context) error { return t.works(ctx, one, true) }},
		{"helm test", t.test},
		{"upgrade to " + other, func(ctx context.Context) error { return t.helm(ctx, "upgrade", other) }},
		{other + " works", func(ctx context.Context) error { return t.works(ctx, other, false) }},
		{"helm test", t.test},
		{"upgrade back to " + one, func(ctx context.Context) error { return t.helm(ctx, "upgrade", one) }},
		{one + " works again", func(ctx context.Context) error { return t.works(ctx, one, false) }},
		{"roll back to " + other, t.rollback},
		{other + " works again", func(ctx context.Context) error { return t.works(ctx, other, false) }},
		{"uninstall", t.uninstall},
	} {
		if err := t.step(t.set.name+": "+part.title, func() error { return part.do(ctx) }); err != nil {
			return err
		}
	}
	return nil
}

// prepare makes what an installation expects to be there.
func (t *trial) prepare(ctx context.Context) error {
	var err error
	if t.buffer, err = t.set.start(ctx, t.processes); err != nil {
		return err
	}
	objects := []any{
		object("Namespace", t.set.name, map[string]any{"labels": map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}}),
	}
	for name, data := range t.buffer.secrets {
		secret := object("Secret", name, map[string]any{"namespace": t.set.name})
		secret["stringData"] = data
		objects = append(objects, secret)
	}
	text, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": objects})
	if err != nil {
		return err
	}
	if err := t.pipe(ctx, text, "kubectl", "apply", "-f", "-"); err != nil {
		return err
	}
	for _, object := range []string{"serviceaccounts/default", "configmaps/kube-root-ca.crt"} {
		path := "/api/v1/namespaces/" + t.set.name + "/" + object
		if err := until(ctx, time.Minute, "waiting for what a namespace has", func() error { return t.get(ctx, path, nil) }); err != nil {
			return err
		}
	}
	if t.before, err = t.settled(ctx); err != nil {
		return err
	}
	t.say("the cluster has %d objects", len(t.before))
	return nil
}

// settled is what there is once the controllers have done what they do by themselves.
func (t *trial) settled(ctx context.Context) (inventory, error) {
	var last inventory
	return last, until(ctx, time.Minute, "waiting for the cluster to be calm", func() error {
		now, err := t.inventory(ctx)
		if err == nil && !maps.Equal(now, last) {
			err = errors.New("objects come and go")
		}
		last = now
		return err
	})
}

func object(kind, name string, metadata map[string]any) map[string]any {
	metadata["name"] = name
	return map[string]any{"apiVersion": "v1", "kind": kind, "metadata": metadata}
}

// kubectl runs a command that is not worth showing unless it fails.
func (t *trial) kubectl(ctx context.Context, args ...string) error {
	text, err := t.output(ctx, nil, "kubectl", args...)
	if err != nil {
		t.quote(string(text))
	}
	return err
}

// values are helm's arguments for the release in a mode.
func (t *trial) values(mode string) []string {
	args := []string{"--namespace", t.set.name, "--values", filepath.Join(t.chart, "ci", t.set.file)}
	for _, value := range slices.Concat(t.set.values, t.buffer.values, []string{"mode=" + mode}) {
		args = append(args, "--set", value)
	}
	return args
}

func (t *trial) helm(ctx context.Context, verb, mode string) error {
	return t.shell.run(ctx, "helm", append([]string{verb, release, t.chart, "--wait", "--timeout=2m"}, t.values(mode)...)...)
}

// test runs the chart's own tests. The kubelet runs their Pods.
func (t *trial) test(ctx context.Context) error {
	hooks, err := t.output(ctx, nil, "helm", "get", "hooks", release, "--namespace", t.set.name)
	if err != nil {
		return err
	}
	if err := t.pipe(ctx, hooks, "kubectl", judge()...); err != nil {
		return err
	}
	err = t.shell.run(ctx, "helm", "test", release, "--namespace", t.set.name, "--timeout=1m")
	return errors.Join(err, t.report())
}

func (t *trial) rollback(ctx context.Context) error {
	if err := t.shell.run(ctx, "helm", "rollback", release, "2", "--namespace", t.set.name, "--wait", "--timeout=2m"); err != nil {
		return err
	}
	return t.shell.run(ctx, "helm", "history", release, "--namespace", t.set.name)
}

// uninstall proves that all is as it was before.
func (t *trial) uninstall(ctx context.Context) error {
	had, err := t.inventory(ctx)
	if err != nil {
		return err
	}
	if err := t.shell.run(ctx, "helm", "uninstall", release, "--namespace", t.set.name, "--wait", "--timeout=1m"); err != nil {
		return err
	}
	err = until(ctx, time.Minute, "waiting for everything to go", func() error {
		now, err := t.inventory(ctx)
		if err != nil {
			return err
		}
		if left := now.beyond(t.before); len(left) > 0 {
			return fmt.Errorf("left behind: %s", strings.Join(left, ", "))
		}
		if lost := t.before.beyond(now); len(lost) > 0 {
			return final{fmt.Errorf("lost: %s", strings.Join(lost, ", "))}
		}
		return nil
	})
	if err != nil {
		return err
	}
	gone := had.beyond(t.before)
	t.say("gone are the %d objects that were new:", len(gone))
	t.quote(strings.Join(gone, "\n"))
	t.say("the cluster has the same %d objects as before", len(t.before))
	return nil
}
