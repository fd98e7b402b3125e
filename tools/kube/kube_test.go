package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTheKindsAreThoseThatManifestsAreCheckedAgainst(t *testing.T) {
	text, err := os.ReadFile("../kubeschemas/crd.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"`+operator+`"`) {
		t.Errorf("tools/kubeschemas does not take them from %s", operator)
	}
}

func TestSetsAreFilesOfTheChart(t *testing.T) {
	modes := make(map[string]bool)
	for _, s := range sets() {
		modes[s.mode] = true
		if _, err := os.Stat(filepath.Join("..", "..", "helm", "streamkeeper", "ci", s.file)); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		if s.limit >= entries {
			t.Errorf("%s: a stream of %d entries is within the limit of %d already", s.name, entries, s.limit)
		}
	}
	if len(modes) != 2 {
		t.Errorf("the modes are %v", modes)
	}
}

func TestTheInventoryIsOfAllKindsOnce(t *testing.T) {
	a := objects(t, map[string]string{
		"/api": `{"items": [{"metadata": {}, "versions": [{"version": "v1", "resources": [
			{"resource": "secrets", "verbs": ["get", "list"]}, {"resource": "events", "verbs": ["list"]}, {"resource": "bindings", "verbs": ["create"]}]}]}]}`,
		"/apis": `{"items": [{"metadata": {"name": "batch"}, "versions": [
			{"version": "v2", "resources": [{"resource": "jobs", "verbs": ["list"]}]},
			{"version": "v1", "resources": [{"resource": "jobs", "verbs": ["list"]}, {"resource": "cronjobs", "verbs": ["list"]}]}]}]}`,
		"/api/v1/secrets":         `{"items": [{"metadata": {"namespace": "rta", "name": "b"}}]}`,
		"/apis/batch/v2/jobs":     `{"items": [{"metadata": {"namespace": "rta", "name": "a"}}]}`,
		"/apis/batch/v1/cronjobs": `{"items": []}`,
	})
	all, err := a.inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := all.beyond(nil), []string{"jobs.batch rta/a", "secrets rta/b"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if more := all.beyond(inventory{"secrets rta/b": true}); !slices.Equal(more, []string{"jobs.batch rta/a"}) {
		t.Errorf("beyond: %q", more)
	}
}

func TestServersEndWithTheTrial(t *testing.T) {
	dir := t.TempDir()
	p := &processes{dir: dir, logs: dir}
	s, err := p.start("sleep", "60")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	if s.cmd.ProcessState == nil || s.cmd.ProcessState.Success() {
		t.Errorf("it is %v", s.cmd.ProcessState)
	}
}

func TestAServerThatEndsTooSoonIsNotWaitedFor(t *testing.T) {
	dir := t.TempDir()
	p := &processes{dir: dir, logs: dir}
	s, err := p.start("sh", "-c", "echo no such flag; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	err = s.await(t.Context(), func() error { return errors.New("not ready") })
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || time.Since(begun) > 30*time.Second {
		t.Errorf("after %s: %v", time.Since(begun), err)
	}
	var told bytes.Buffer
	if p.explain(&told); !strings.Contains(told.String(), "sh ended; its last lines:\nno such flag\n") {
		t.Errorf("told: %s", told.String())
	}
}
