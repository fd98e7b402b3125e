package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/corpus"
	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// writes is for [interrupted]: what it wrote has a text.
func writes(text string) func(string) bool {
	return func(out string) bool { return strings.Contains(out, text) }
}

// interrupted runs streamkeeper as a process of its own, and interrupts it once it
// is ready, by what it wrote.
func interrupted(t *testing.T, redisURL string, ready func(out string) bool, args ...string) (code int, stdout string) {
	t.Helper()
	out, errs := new(program.Buffer), new(program.Buffer)
	cmd := exec.Command(program.Path(t), args...)
	cmd.Stdout, cmd.Stderr = out, errs
	cmd.Env = []string{"STREAMKEEPER_REDIS_URL=" + redisURL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	program.Eventually(t, 20*time.Second, "it is ready", func() bool { return ready(out.String()) })
	mustDo(t, cmd.Process.Signal(syscall.SIGINT))
	_ = cmd.Wait()
	if errs.String() != "" {
		t.Errorf("on stderr it says\n%s", errs)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

func TestFollowPrintsUntilItIsInterrupted(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	name := "car 7: \x1b"
	put := func(id string, fields ...any) {
		mustDo(t, s.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:" + name, ID: id, Values: fields}).Err())
	}
	var good []byte
	for _, c := range corpus.Read[sample](t, corpus.Bursts) {
		if c.Expect == "ok" {
			good = c.Data
			break
		}
	}
	put("5-0", "id", 12, "data", good)
	put("6-0", "id", 12, "data", good)
	put("7-0", "id", 13, "data", "rubbish")
	follow := []string{"inspect", "--follow", `car 7: \x1b`, "--since"}

	code, out := interrupted(t, s.URL(), writes("\n6-0 "), append(follow, "6-0", "--session", "12")...)
	if code != cli.ExitOK || strings.Contains(out, "5-0") || strings.Contains(out, "7-0") || !strings.Contains(out, "1 message looked at") {
		t.Errorf("one session: exit %d\n%s", code, out)
	}
	code, out = interrupted(t, s.URL(), writes("\n7-0 "), append(follow, "0")...)
	if code != cli.ExitInvalid || !strings.Contains(out, "\n5-0 ") || !strings.Contains(out, "2 ok, 0 with warnings, 1 invalid") {
		t.Errorf("a message is invalid: exit %d\n%s", code, out)
	}
	code, out = interrupted(t, s.URL(), writes(`"id":"6-0"`), append(follow, "6", "--session", "12", "--decode")...)
	var m struct {
		Stream, Verdict string
		Content         map[string]any
	}
	if err := json.Unmarshal([]byte(out), &m); code != cli.ExitOK || err != nil || m.Stream != `car 7: \x1b` || len(m.Content) == 0 {
		t.Errorf("as JSON: exit %d, %v\n%.2000s", code, err, out)
	}
}

func TestAnInterruptDoesNotWaitForARedisThatHangs(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	mustDo(t, s.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:a", Values: []any{"id", 1}}).Err())
	proxy := redistest.StartProxy(t, s.Addr)
	var asked atomic.Int64
	proxy.Set(func(command []string) redistest.Fault {
		return redistest.Fault{Hole: strings.HasPrefix(strings.ToLower(command[0]), "eval") && asked.Add(1) > 4}
	})
	var hangs time.Time
	code, out := interrupted(t, proxy.URL(), func(string) bool { hangs = time.Now(); return asked.Load() > 4 }, "inspect", "--follow", "a")
	if took := time.Since(hangs); code != cli.ExitOK || took > 2*time.Second || !strings.Contains(out, "looked at") {
		t.Errorf("exit %d after %s\n%s", code, took, out)
	}
}

func TestFollowWantsWhatItCanFollow(t *testing.T) {
	t.Parallel()
	env := program.Env{}
	for _, c := range []struct {
		args string
		want string
	}{
		{"--follow", "the name of a stream"},
		{"--follow --file x", "--file"},
		{"--since 10m a", "go with --follow"},
		{"--session 5 a", "go with --follow"},
		{"--follow a --since yesterday", `--since "yesterday"`},
		{"--follow a --session me", `--session "me"`},
		{`--follow a\q`, `a\\q`},
	} {
		args := append([]string{"inspect"}, strings.Fields(c.args)...)
		if code, out, errs := env.Run(t, args...); code != cli.ExitUsage || !strings.Contains(errs, c.want) || out != "" {
			t.Errorf("%s: exit %d, %s%s", c.args, code, out, errs)
		}
	}
}

func TestFollowEndsAfterTheCountAndSaves(t *testing.T) {
	t.Parallel()
	env := program.Env{}
	s := redistest.Start(t)
	for _, id := range []string{"5-0", "6-0", "7-0"} {
		mustDo(t, s.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:a", ID: id, Values: []any{"id", 1, "data", "rubbish " + id}}).Err())
	}
	dir := t.TempDir()
	code, out, errs := env.Run(t, "inspect", "--follow", "a", "--since", "0", "--count", "2", "--save", dir, "--redis-url", s.URL())
	if code != cli.ExitInvalid || !strings.Contains(out, "2 messages looked at") {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	for id, want := range map[string]bool{"5-0": true, "6-0": true, "7-0": false} {
		data, err := os.ReadFile(filepath.Join(dir, "a@"+id+".bin"))
		if want != (err == nil) || want && string(data) != "rubbish "+id {
			t.Errorf("%s: %q, %v", id, data, err)
		}
	}
}

func TestFollowWaitsForAStream(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	out, errs := new(program.Buffer), new(program.Buffer)
	cmd := exec.Command(program.Path(t), "inspect", "--follow", "stream:late", "--count", "1")
	cmd.Stdout, cmd.Stderr = out, errs
	cmd.Env = []string{"STREAMKEEPER_REDIS_URL=" + s.URL()}
	mustDo(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	program.Eventually(t, 20*time.Second, "it has begun", func() bool { return strings.Contains(out.String(), "VERDICT") })
	mustDo(t, s.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:late", ID: "5-0", Values: []any{"id", 1, "data", "rubbish"}}).Err())
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != cli.ExitInvalid || !strings.Contains(out.String(), "\n5-0 ") || !strings.Contains(errs.String(), "waiting for stream") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

func TestFollowSaysWhatVanishedWithItsStreamBetweenTwoLooks(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	put := func(id string) {
		mustDo(t, s.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:car 7", ID: id, Values: []any{"id", 1, "data", "rubbish"}}).Err())
	}
	for _, id := range []string{"3-0", "4-0", "5-0"} {
		put(id)
	}
	env := program.Env{"REDIS_URL": s.URL()}
	cmd, out, errs := env.Command(t, "inspect", "--follow", "car 7", "--since", "0"), new(program.Buffer), new(program.Buffer)
	cmd.Stdout, cmd.Stderr = out, errs
	mustDo(t, cmd.Start())
	program.Eventually(t, 20*time.Second, "it has read what is there", func() bool { return strings.Contains(out.String(), "\n5-0 ") })
	for _, next := range []struct{ first, second, third string }{{"6-0", "7-0", "8-0"}, {"9-0", "10-0", "11-0"}} {
		mustDo(t, cmd.Process.Signal(syscall.SIGSTOP))
		put(next.first)
		mustDo(t, s.Client.Del(t.Context(), "stream:car 7").Err())
		put(next.second)
		put(next.third)
		mustDo(t, s.Client.XTrimMaxLen(t.Context(), "stream:car 7", 1).Err())
		mustDo(t, cmd.Process.Signal(syscall.SIGCONT))
		program.Eventually(t, 20*time.Second, "it goes on", func() bool { return strings.Contains(out.String(), "\n"+next.third+" ") })
	}
	code := endsAtOnce(t, cmd, atOnce)
	said := strings.Count(errs.String(), `"stream was replaced"`)
	if code != cli.ExitInvalid || strings.Contains(out.String(), "\n6-0 ") || said != 2 || !strings.Contains(errs.String(), "car 7") || !strings.Contains(out.String(), "Removed before they were seen: at least 2 messages.") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}
