// Command kube tries the Helm chart on a real Kubernetes: etcd, kube-apiserver,
// kube-controller-manager and kube-scheduler on loopback, with a node that kwok
// plays. No container runs, but what a Pod would run does: its command, with
// the Pod's environment and files, against a real Redis. Everything lies in a
// temporary folder, listens on free ports, and is gone at the end.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

type options struct {
	bin, chart, program, stages, logs string
}

func main() {
	var o options
	flag.StringVar(&o.bin, "bin", ".tools/bin", "folder of etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kwok, kubectl and helm")
	flag.StringVar(&o.chart, "chart", "helm/streamkeeper", "folder of the chart")
	flag.StringVar(&o.program, "program", "./streamkeeper", "what Pods run")
	flag.StringVar(&o.stages, "stages", "", "folder of kwok's stages")
	flag.StringVar(&o.logs, "logs", "dist/kube", "folder for the servers' logs, emptied first")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "kube:", err)
		os.Exit(1)
	}
}

// run is the trial. What it started ends with it, whichever way it ends.
func run(o options) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	for _, path := range []*string{&o.bin, &o.chart, &o.program, &o.stages, &o.logs} {
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	if err := errors.Join(os.RemoveAll(o.logs), os.MkdirAll(o.logs, 0o750)); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "kube")
	if err != nil {
		return err
	}
	started := &processes{dir: dir, logs: o.logs}
	defer func() {
		if err != nil {
			started.explain(os.Stderr)
		}
		err = errors.Join(err, started.stop(), os.RemoveAll(dir))
	}()
	t := newTranscript(os.Stdout)
	c, err := startCluster(ctx, t, started, o)
	if err != nil {
		return err
	}
	if err := t.step("would the API server take what each values file makes", func() error { return c.judgeAll(ctx, o.chart) }); err != nil {
		return err
	}
	ctx, stopKubelet := c.startKubelet(ctx)
	defer stopKubelet()
	for _, s := range sets() {
		if err := newTrial(c, s, o).run(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, errors.Join(err, context.Cause(ctx))) // it may be the node that failed
		}
	}
	t.sum()
	return nil
}
