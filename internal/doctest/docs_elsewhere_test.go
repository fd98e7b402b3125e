package doctest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// trialOfHelm are the commands of helm that the trial on a real API server runs.
var trialOfHelm = regexp.MustCompile(`^helm (test|uninstall|rollback)\b`)

// elsewhere is where the commands are run that need more than Redis.
var elsewhere = []struct {
	command *regexp.Regexp
	// file holds evidence, in which $1 stands for the command's first group.
	file, evidence string
}{
	// By hand only: they take minutes, or print what is there.
	{regexp.MustCompile(`^make (help|bench|soak|image|demo|generate|live-alerts|packages|dashboard-picture)\b`), "Makefile", "\n$1: "},
	{regexp.MustCompile(`^scripts/(soak)\b`), "Makefile", "scripts/$1"},
	{regexp.MustCompile(`^go run (\./bench)\b`), "Makefile", "go run $1"},
	// Its test fills a server that it starts.
	{regexp.MustCompile(`^(go run \./test/operator|redis-server --port 7777)\b`), "test/operator/operator_test.go", "redistest.Start(t)"},
	{regexp.MustCompile(trialOfHelm.String() + `(?: streamkeeper(?: --logs)?)?$`), "tools/kube/trial.go", `"helm", "$1", release`},
	{regexp.MustCompile(`^docker (compose) up$`), ".ci/run", "make $1-check"},
	{regexp.MustCompile(`^(docker build --tag) \S+ \.$`), "scripts/kind", "$1"},
	{regexp.MustCompile(`^scripts/release prepare 1\.2\.3$`), "internal/doctest/release_test.go", "prepare"},
	{regexp.MustCompile(`^make ([a-z-]+)`), ".ci/run", "make $1"},
	{regexp.MustCompile(`^(bash \.ci/run)$`), ".github/workflows/ci.yaml", "run: $1"},
}

// checkElsewhere fails unless a command is known to be run somewhere.
func checkElsewhere(t *testing.T, path string, s shown) {
	t.Helper()
	switch s.program() {
	case "helm":
		if !trialOfHelm.MatchString(s.command) {
			renderChart(t, path, s)
			return
		}
	case "kubectl":
		checkKubectl(t, path, s)
		return
	}
	for _, e := range elsewhere {
		at := e.command.FindStringSubmatchIndex(s.command)
		if at == nil {
			continue
		}
		evidence := string(e.command.ExpandString(nil, e.evidence, s.command, at))
		if !strings.Contains(readPage(t, e.file), evidence) {
			t.Errorf("%s:%d: %s: %s does not run it: it has no %q", path, s.line, s.command, e.file, evidence)
		}
		return
	}
	t.Errorf("%s:%d: %s: nothing runs this command", path, s.line, s.command)
}

// renderChart renders what `helm install` and `helm upgrade` would install. CI
// has helm from the chart's own checks; elsewhere it may be missing.
func renderChart(t *testing.T, path string, s shown) {
	t.Helper()
	helm, err := filepath.Abs(".tools/bin/helm")
	mustDo(t, err)
	if _, err := os.Stat(helm); err != nil {
		if os.Getenv("CI") != "" {
			t.Errorf("%s:%d: %s: CI has no helm to render it", path, s.line, s.command)
		}
		return
	}
	command, _, _ := strings.Cut(s.command, " #")
	verb := regexp.MustCompile(`^helm (upgrade --install|upgrade|install|template) `)
	if !verb.MatchString(command) {
		t.Errorf("%s:%d: %s: nothing runs this command of helm", path, s.line, s.command)
		return
	}
	command = verb.ReplaceAllString(command, "'"+helm+"' template --kube-version 1.34.4 ")
	command = strings.ReplaceAll(command, "--values values.yaml", "") // the reader's own
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "bash", "-c", command).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "kind: ") {
		t.Errorf("%s:%d: %s: %v\n%s", path, s.line, s.command, err, out)
	}
}

// checkKubectl lets only those commands pass that look at the chart's objects
// as the chart names them: there is no cluster here.
func checkKubectl(t *testing.T, path string, s shown) {
	t.Helper()
	command, _, _ := strings.Cut(s.command, " #")
	known := regexp.MustCompile(`^kubectl (-n \S+ )?(` +
		`port-forward service/(streamkeeper 8080|redis 6379)|` +
		`scale deployment/streamkeeper --replicas 0|` +
		`logs (deployment/streamkeeper|job/now)( --follow| --previous)?|` +
		`exec deployment/redis -- redis-cli info memory|` +
		`get cronjobs,jobs|` +
		`get (pods|deployments,cronjobs) -l app\.kubernetes\.io/name=streamkeeper,app\.kubernetes\.io/instance=streamkeeper|` +
		`create job now --from=cronjob/streamkeeper|` +
		`create secret generic redis --from-(file|literal)=\S+)$`)
	if !known.MatchString(strings.TrimSpace(command)) {
		t.Errorf("%s:%d: %s: the chart makes no such thing", path, s.line, s.command)
	}
}
