package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// objects is an API server that has a few objects by path, as JSON.
func objects(t *testing.T, have map[string]string) *api {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := have[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(s.Close)
	return &api{server: s.URL, client: s.Client()}
}

func mustPod(t *testing.T, text string) *pod {
	t.Helper()
	var p pod
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	return &p
}

const keeperPod = `{
	"metadata": {"name": "keeper", "namespace": "rta", "uid": "1"},
	"spec": {
		"containers": [{
			"args": ["once", "--metrics-file", "/etc/streamkeeper/metrics"],
			"envFrom": [{"configMapRef": {"name": "more"}}],
			"env": [
				{"name": "PLAIN", "value": "x"},
				{"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "redis", "key": "password"}}},
				{"name": "FILE", "value": "/etc/streamkeeper/redis-password"},
				{"name": "POLICIES", "value": "/etc/streamkeeper-policies/MORE"},
				{"name": "LIMIT", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}},
				{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
			],
			"resources": {"limits": {"memory": "256Mi"}},
			"volumeMounts": [{"name": "secrets", "mountPath": "/etc/streamkeeper"}, {"name": "policies", "mountPath": "/etc/streamkeeper-policies"}]
		}],
		"volumes": [{"name": "secrets", "projected": {"sources": [
			{"secret": {"name": "redis", "items": [{"key": "password", "path": "redis-password"}]}}
		]}}, {"name": "policies", "configMap": {"name": "more"}}]
	}
}`

func TestAPodsCommandHasItsEnvironmentAndItsFiles(t *testing.T) {
	k := &kubelet{dir: t.TempDir(), program: "streamkeeper", api: objects(t, map[string]string{
		"/api/v1/namespaces/rta/secrets/redis":   `{"data": {"password": "aHVzaA==", "other": "eA=="}}`,
		"/api/v1/namespaces/rta/configmaps/more": `{"data": {"MORE": "y"}}`,
	})}
	cmd, err := k.prepare(t.Context(), mustPod(t, keeperPod))
	if err != nil {
		t.Fatal(err)
	}
	files := filepath.Join(k.dir, "pods", "1", "secrets")
	env := []string{"MORE=y", "PLAIN=x", "SECRET=hush", "FILE=" + files + "/redis-password", "POLICIES=" + filepath.Dir(files) + "/policies/MORE", "LIMIT=268435456", "POD=keeper"}
	if !slices.Equal(cmd.Env, env) {
		t.Errorf("environment %q, want %q", cmd.Env, env)
	}
	if args := []string{"streamkeeper", "once", "--metrics-file", files + "/metrics"}; !slices.Equal(cmd.Args, args) {
		t.Errorf("command %q, want %q", cmd.Args, args)
	}
	if text, err := os.ReadFile(filepath.Join(files, "redis-password")); err != nil || string(text) != "hush" {
		t.Errorf("file %q, %v", text, err)
	}
	if text, err := os.ReadFile(filepath.Join(filepath.Dir(files), "policies", "MORE")); err != nil || string(text) != "y" {
		t.Errorf("policies %q, %v", text, err)
	}
	if _, err := os.Stat(filepath.Join(files, "other")); !os.IsNotExist(err) {
		t.Errorf("a key that is not asked for is a file: %v", err)
	}
}

func TestAPodThatAsksForWhatIsNotThereDoesNotRun(t *testing.T) {
	for name, have := range map[string]map[string]string{
		"no Secret":        {"/api/v1/namespaces/rta/configmaps/more": `{}`},
		"no such key":      {"/api/v1/namespaces/rta/secrets/redis": `{"data": {"other": "eA=="}}`, "/api/v1/namespaces/rta/configmaps/more": `{}`},
		"no ConfigMap":     {"/api/v1/namespaces/rta/secrets/redis": `{"data": {"password": "eA=="}}`},
		"nothing whatever": {},
	} {
		t.Run(name, func(t *testing.T) {
			k := &kubelet{dir: t.TempDir(), api: objects(t, have)}
			if cmd, err := k.prepare(t.Context(), mustPod(t, keeperPod)); err == nil {
				t.Errorf("it would run with %q", cmd.Env)
			}
		})
	}
}

func TestOnlyStreamkeeperIsRun(t *testing.T) {
	c := container{Name: "c", Command: []string{"/bin/sh"}, Args: []string{"-c", "true"}}
	if args, err := c.command(""); err == nil {
		t.Errorf("the arguments are %q", args)
	}
	c.Command = []string{"/usr/bin/streamkeeper", "plan"}
	if args, err := c.command(""); err != nil || !slices.Equal(args, []string{"plan", "-c", "true"}) {
		t.Errorf("the arguments are %q, %v", args, err)
	}
}

func TestLimitsAreGivenAsTheKubeletDoes(t *testing.T) {
	for text, want := range map[string]string{
		"256Mi": "268435456", "1500M": "1500000000", "1.5Gi": "1610612736", "100": "100", "500m": "1", "2": "2", "1k": "1000", "3Ki": "3072",
	} {
		if got, err := limit(map[string]string{"memory": text}, "limits.memory"); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "Mi", "1Zi", "x"} {
		if got, err := limit(map[string]string{"memory": text}, "limits.memory"); err == nil {
			t.Errorf("%q: %s", text, got)
		}
	}
	if got, err := limit(nil, "limits.cpu"); err == nil {
		t.Errorf("no limit: %s", got)
	}
}

func TestADaemonListensOnAPortOfItsOwn(t *testing.T) {
	k := &kubelet{dir: t.TempDir(), program: "true", api: objects(t, nil)}
	p := mustPod(t, `{"spec": {"containers": [{"ports": [{"containerPort": 80}], "env": [{"name": "A", "value": ":8080"}, {"name": "B", "value": ":80"}]}]}}`)
	d, err := k.runDaemon(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	<-d.ended
	if want := []string{"A=:8080", "B=" + d.addr}; !slices.Equal(d.cmd.Env, want) {
		t.Errorf("environment %q, want %q", d.cmd.Env, want)
	}
	p.Spec.Containers[0].Env = nil
	if _, err := k.runDaemon(t.Context(), p); err == nil || !strings.Contains(err.Error(), "no variable that names its port") {
		t.Errorf("without such a variable: %v", err)
	}
}
