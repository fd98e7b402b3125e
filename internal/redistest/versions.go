package redistest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Servers is the environment variable that names further server programs
// beside the redis-server in PATH: paths joined as those in PATH are.
const Servers = "REDIS_SERVERS"

// StartFunc starts a server of one version, as [Start] does.
type StartFunc func(t testing.TB, args ...string) *Server

// EachVersion runs a test on the redis-server in PATH and on each program that
// [Servers] names. Each subtest has the name of the version that really runs,
// as redis-7.0.15; of two programs of one version the first runs.
func EachVersion(t *testing.T, test func(t *testing.T, start StartFunc)) {
	t.Helper()
	seen := make(map[string]bool)
	for _, path := range Programs() {
		name, err := versionOf(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if seen[name] {
			continue
		}
		seen[name] = true
		t.Run(name, func(t *testing.T) { test(t, startProgram(path)) })
	}
}

// Programs are the redis-server in PATH and those that [Servers] names.
func Programs() []string {
	programs := []string{defaultProgram}
	for _, path := range filepath.SplitList(os.Getenv(Servers)) {
		if path != "" {
			programs = append(programs, path)
		}
	}
	return programs
}

func startProgram(path string) StartFunc {
	return func(t testing.TB, args ...string) *Server {
		t.Helper()
		s, err := newServer(t.TempDir(), args)
		if err == nil {
			s.program = path
			err = s.Run()
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		return s
	}
}

// programVersion is in "Redis server v=7.0.15 sha=…" and in "Valkey server v=…".
var programVersion = regexp.MustCompile(`(?i)^(\w+) server v=(\d[0-9.]*)`)

// versionOf asks a program what it is.
func versionOf(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	text, err := exec.CommandContext(ctx, path, "--version").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("asking %s for its version (make test installs redis-server; %s names others): %w", path, Servers, err)
	}
	found := programVersion.FindStringSubmatch(string(text))
	if found == nil {
		return "", fmt.Errorf("%s does not say which version it is: %q", path, text)
	}
	return strings.ToLower(found[1]) + "-" + found[2], nil
}
