package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/streamkeeper/streamkeeper/doctor"
	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

type doctorJSON struct {
	Version string
	Redis   map[string]any
	Session string
	Summary map[string]int64
	Checks  []doctor.Finding
}

func TestDoctorSaysWhatIsWrongAndExitsByIt(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--maxmemory", "1gb")
	env := program.Env{"REDIS_URL": server.URL()}
	before := dump(t, server.Client)
	if code, out, errs := env.Run(t, "doctor"); code != cli.ExitOK || errs != "" {
		t.Errorf("an empty buffer: exit %d\n%s%s", code, out, errs)
	}
	if after := dump(t, server.Client); after != before {
		t.Errorf("Redis holds\n%s", after)
	}
	env.MustRun(t, "demo", "--producers", "--redis-url", server.URL(), "--for", "2s")
	code, out, errs := env.Run(t, "doctor")
	if code != cli.ExitInvalid || errs != "" {
		t.Errorf("the demo's buffer: exit %d\n%s%s", code, out, errs)
	}
	for _, part := range []string{"  error    session-time ", "- demo/simulator: ", "Why: ", "Do:  ", "  ok       maxmemory "} {
		if !strings.Contains(out, part) {
			t.Errorf("it lacks %q:\n%s", part, out)
		}
	}
	for line := range strings.Lines(out) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 80 && strings.Count(strings.TrimSpace(line), " ") > 3 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	var found doctorJSON
	code, out, errs = env.Run(t, "doctor", "-o", "json")
	mustDo(t, json.Unmarshal([]byte(out), &found))
	if code != cli.ExitInvalid || errs != "" || found.Summary["error"] == 0 || found.Redis["mode"] != "standalone" {
		t.Errorf("exit %d, %+v\n%s", code, found.Summary, errs)
	}
	for i, check := range found.Checks {
		if check.Check == "" || check.Rule == "" || check.Remedy == "" || check.Examples == nil || check.Text == "" {
			t.Errorf("check %d is %+v", i, check)
		}
	}
}

func TestDoctorChecksASessionInAProducersOwnTests(t *testing.T) {
	t.Parallel()
	address := program.FreeAddress(t)
	served, output := program.Env{}.Command(t, "demo", "--serve", "--address", address), new(program.Buffer)
	served.Stdout, served.Stderr = output, output
	mustDo(t, served.Start())
	t.Cleanup(func() {
		_ = served.Process.Kill()
		_ = served.Wait()
	})
	url := "redis://" + address + "/0"
	program.Eventually(t, time.Minute, "the embedded Redis is open", func() bool { return strings.Contains(output.String(), "open at "+url) })
	env := program.Env{"REDIS_URL": url}
	if code, _, errs := env.Run(t, "doctor", "--session", "demo/car 22: Practice 1"); code != cli.ExitFailure || !strings.Contains(errs, "there is no such session") {
		t.Errorf("no session: exit %d\n%s", code, errs)
	}
	if code, out, errs := (program.Env{}).Run(t, "demo", "--producers", "--redis-url", url, "--for", "1s"); code != cli.ExitOK {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	code, out, errs := env.Run(t, "doctor", "--session", "demo/car 22: Practice 1")
	if code != cli.ExitInvalid || !strings.Contains(out, "the last Session JSON says open") || strings.Count(out, "\n  error ") != 1 {
		t.Errorf("a session left open: exit %d\n%s%s", code, out, errs)
	}
	if code, out, _ = env.Run(t, "doctor", "--session", "demo/simulator"); code != cli.ExitInvalid || !strings.Contains(out, "error    message-valid") {
		t.Errorf("rubbish: exit %d\n%s", code, out)
	}
	if code, _, errs := (program.Env{}).Run(t, "demo", "--serve", "--producers"); code != cli.ExitUsage || errs == "" {
		t.Errorf("--serve --producers: exit %d", code)
	}
}
