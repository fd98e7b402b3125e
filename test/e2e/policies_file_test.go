package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
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
	mustDo(t, os.WriteFile(path+".new", []byte(text), 0o600))
	mustDo(t, os.Rename(path+".new", path))
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
	keeper := program.StartChecked(t, server.URL(), map[string]string{"TRIM_POLICIES_FILE": path})
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

// Wherever a daemon is killed after its policies changed, the next one has the new rules, and
// what any rule keeps is there.
func TestADaemonThatIsKilledAtAnyStepOfAReloadLosesNothing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr)
	path := filepath.Join(t.TempDir(), "policies")
	const before, after = "kept: keep=all\nbusy: keep=all\n", "kept: max_length=1000\nbusy: max_length=100, exact=true\n"
	start := func() *program.Instance {
		r := program.Start(t, proxy.URL(), map[string]string{
			"TRIM_POLICIES_FILE": path, "LEASE_ENABLED": "false", "CLEANUP_ENABLED": "false", "INSPECT_ENABLED": "false", "METRICS_INTERVAL": "1h",
		})
		program.Eventually(t, 20*time.Second, "it runs", func() bool { return r.Runs("trim") > 0 })
		return r
	}
	add := func(stream string, n int) {
		server.Client.SAdd(t.Context(), "streams", stream)
		pipe := server.Client.Pipeline()
		for i := range n {
			pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:" + stream, Values: []any{"n", i}})
		}
		_, err := pipe.Exec(t.Context())
		mustDo(t, err)
	}
	length := func(stream string) int64 { return server.Client.XLen(t.Context(), "stream:"+stream).Val() }
	reloaded := func(keeper *program.Instance) func() bool {
		return func() bool { return strings.Contains(keeper.Log.String(), "reloaded policies") }
	}
	add("kept", 300)
	writePolicies(t, path, before)
	keeper := start()
	for step := 1; ; step++ {
		add("busy", 200)
		full := length("busy")
		newest := server.Client.XRevRangeN(t.Context(), "stream:busy", "+", "-", 100).Val()
		done := killAt(proxy, keeper, step)
		writePolicies(t, path, after)
		keeper.Signal(syscall.SIGHUP)
		program.Eventually(t, 20*time.Second, "it is killed, or has trimmed", func() bool { return done() || length("busy") == 100 })
		killed := done()
		proxy.Set(nil)
		if n := length("busy"); n != full && n != 100 {
			t.Fatalf("step %d: %d of %d entries are left", step, n, full)
		}
		if killed {
			keeper.Ends(10 * time.Second)
			keeper = start()
			program.Eventually(t, 20*time.Second, "the next one has the new rules", func() bool { return length("busy") == 100 })
		}
		if left := server.Client.XRange(t.Context(), "stream:busy", "-", "+").Val(); len(left) != 100 || left[0].ID != newest[99].ID || length("kept") != 300 {
			t.Fatalf("step %d: from %s on, want %s; %d of the kept", step, left[0].ID, newest[99].ID, length("kept"))
		}
		if !killed {
			t.Logf("%d steps", step-1)
			return
		}
		writePolicies(t, path, before)
		keeper.Signal(syscall.SIGHUP)
		program.Eventually(t, 10*time.Second, "the old rules are back", reloaded(keeper))
	}
}

// killAt kills a daemon before the command of that number from now on, and says
// whether it did.
func killAt(proxy *redistest.Proxy, r *program.Instance, step int) (done func() bool) {
	var commands atomic.Int64
	proxy.Set(func([]string) redistest.Fault {
		n := commands.Add(1)
		if n == int64(step) {
			r.Kill()
		}
		return redistest.Fault{Reset: n >= int64(step)}
	})
	return func() bool { return commands.Load() >= int64(step) }
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
