package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func writePolicies(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAFaultyPolicyFileIsAFaultOfTheConfiguration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good, faulty := filepath.Join(dir, "good"), filepath.Join(dir, "faulty")
	writePolicies(t, good, "# what the pit wall reads\nrocket-*: max_length=5000 # a minute\n\n\"odd: # name\": keep=all\n")
	writePolicies(t, faulty, "rocket-*: max_length=5000\nother: max_len=7\n")
	for _, test := range []struct {
		env  program.Env
		want string // "" for none
	}{
		{program.Env{"TRIM_POLICIES_FILE": good}, ""},
		{program.Env{"TRIM_POLICIES_FILE": faulty}, "max_len"},
		{program.Env{"TRIM_POLICIES_FILE": filepath.Join(dir, "none")}, "no such file"},
		{program.Env{"TRIM_POLICIES_FILE": good, "TRIM_POLICIES": "a: keep=all"}, "STREAMKEEPER_TRIM_POLICIES is set too"},
	} {
		code, _, errs := test.env.Run(t, "config")
		switch {
		case test.want == "" && code != cli.ExitOK:
			t.Errorf("%v: exit %d\n%s", test.env, code, errs)
		case test.want != "" && (code != cli.ExitUsage || !strings.Contains(errs, "TRIM_POLICIES_FILE") || !strings.Contains(errs, test.want)):
			t.Errorf("%v: exit %d, and it says\n%s", test.env, code, errs)
		}
	}
}

func TestADaemonTakesOverPoliciesThatChange(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	path := filepath.Join(t.TempDir(), "policies")
	writePolicies(t, path, "busy: max_length=200, exact=true\n")
	server.Client.SAdd(t.Context(), "streams", "busy")
	pipe := server.Client.Pipeline()
	for i := range 1000 {
		pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:busy", Values: []any{"n", i}})
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	keeper := program.Start(t, server.URL(), map[string]string{"TRIM_POLICIES_FILE": path})
	has := func(length int64) func() bool {
		return func() bool { return server.Client.XLen(t.Context(), "stream:busy").Val() == length }
	}
	page := func(line string) func() bool {
		return func() bool {
			_, text := keeper.Get("/metrics")
			return strings.Contains(text, "\n"+line+"\n")
		}
	}
	program.Eventually(t, 20*time.Second, "the policy counts", has(200))
	writePolicies(t, path, "busy: max_length=nonsense\n")
	keeper.Signal(syscall.SIGHUP)
	program.Eventually(t, 5*time.Second, "the fault is in the metrics", page("streamkeeper_config_last_reload_successful 0"))
	if !page(`streamkeeper_stream_limit_entries{stream="busy"} 200`)() {
		t.Error("the last good rule does not count any more")
	}
	writePolicies(t, path, "busy: max_length=100, exact=true\n")
	program.Eventually(t, 20*time.Second, "what changed counts, without being asked", has(100))
	program.Eventually(t, 5*time.Second, "the metrics have the new limit", page(`streamkeeper_stream_limit_entries{stream="busy"} 100`))
	if !page("streamkeeper_config_last_reload_successful 1")() {
		t.Error("the fault is still in the metrics")
	}
}

func TestAPolicyFileThatBecomesAPipeHoldsNothingUp(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	path := filepath.Join(t.TempDir(), "policies")
	writePolicies(t, path, "busy: max_length=200\n")
	r := program.Start(t, server.URL(), map[string]string{"TRIM_POLICIES_FILE": path})
	program.Eventually(t, 15*time.Second, "it leads", r.Leads)
	const successful = "streamkeeper_config_last_reload_successful"
	mustDo(t, os.Remove(path))
	mustDo(t, syscall.Mkfifo(path, 0o600))
	r.Signal(syscall.SIGHUP)
	program.Eventually(t, 10*time.Second, "the fault is said", func() bool {
		return series(r, successful) == 0 && strings.Contains(r.Log.String(), "cannot reload policies")
	})
	mustDo(t, os.Remove(path))
	writePolicies(t, path, "busy: max_length=300\n")
	r.Signal(syscall.SIGHUP)
	program.Eventually(t, 10*time.Second, "the file is read again", func() bool {
		return series(r, successful) == 1 && strings.Contains(r.Log.String(), "reloaded policies")
	})
	mustDo(t, os.Remove(path))
	mustDo(t, syscall.Mkfifo(path, 0o600))
	r.Signal(syscall.SIGHUP)
	program.Eventually(t, 10*time.Second, "the fault is said", func() bool { return series(r, successful) == 0 })
	begun := time.Now()
	r.Stop()
	if code := r.Ends(10 * time.Second); code != cli.ExitOK || time.Since(begun) > 4*time.Second {
		t.Errorf("exit %d after %s", code, time.Since(begun))
	}
}
