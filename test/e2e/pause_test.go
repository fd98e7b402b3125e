package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// pauseID is that of a new pause.
func pauseID(t *testing.T, env program.Env, args ...string) string {
	t.Helper()
	out := env.MustRun(t, append([]string{"pause", "-o", "json"}, args...)...)
	return decode[struct{ Pause struct{ ID string } }](t, out).Pause.ID
}

func TestOnceDoesNothingThatIsPausedAndThatIsNoFailure(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	before := dump(t, w.client)
	id := pauseID(t, w.env, "--for", "1h", "--reason", "test day")

	once := decode[onceJSON](t, w.env.MustRun(t, "once", "trim", "cleanup", "-o", "json"))
	for _, job := range once.Jobs {
		if text, _ := job["paused"].(string); job["ok"] != true || !strings.Contains(text, "(test day)") {
			t.Errorf("%v", job)
		}
	}
	w.left(t, "busy", 2500)
	if got := dump(t, w.client); withoutState(got) != withoutState(before) {
		t.Errorf("once changed what is paused")
	}
	if out := w.env.MustRun(t, "once", "trim"); !strings.Contains(out, "paused") || !strings.Contains(out, "test day") {
		t.Errorf("once says\n%s", out)
	}

	code, out, _ := w.env.Run(t, "plan", "--detailed-exitcode")
	if code != cli.ExitWork || !strings.Contains(out, "Paused: trim and cleanup until") || !strings.Contains(out, "streamkeeper resume "+id) ||
		!strings.Contains(out, "trimming is paused") || strings.Contains(out, "Nothing to do") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if out := w.env.MustRun(t, "pause", "list"); !strings.Contains(out, id) || !strings.Contains(out, "test day") {
		t.Errorf("the list is\n%s", out)
	}

	w.env.MustRun(t, "once", "trim", "--ignore-pause")
	w.left(t, "busy", 1000)
	if code, _, errs := w.env.Run(t, "resume", "nobody"); code != cli.ExitFailure || !strings.Contains(errs, "nobody") {
		t.Errorf("exit %d\n%s", code, errs)
	}
	if out := w.env.MustRun(t, "resume", id); !strings.Contains(out, id) {
		t.Errorf("resume says\n%s", out)
	}
	if out := w.env.MustRun(t, "resume"); !strings.Contains(out, "Nothing was paused") {
		t.Errorf("resume says\n%s", out)
	}
	w.env.MustRun(t, "once", "trim", "cleanup")
	if n := w.client.Exists(t.Context(), "stream:dead").Val(); n != 0 {
		t.Error("the dead stream is still there")
	}
}

func TestWhatIsPausedIsNotTakenForNothing(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	for _, job := range jobs.OnDemand() {
		w.env.MustRun(t, "pause", "--for", "1h", "--job", job)
		if code, out, errs := w.env.Run(t, "once", job); code != cli.ExitOK || strings.Contains(errs, "nothing found") {
			t.Errorf("once %s, paused: exit %d\n%s%s", job, code, out, errs)
		}
	}
	empty := program.Env{"REDIS_URL": redistest.Start(t).URL()}
	empty.MustRun(t, "pause", "--for", "1h", "--job", "inspect")
	if _, out, errs := empty.Run(t, "once", "inspect"); !strings.Contains(errs, "nothing found") {
		t.Errorf("without a stream:\n%s%s", out, errs)
	}
}

// What was found before a pause is still so.
func TestAPausedInspectionSaysNothingOfMessages(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	path := filepath.Join(t.TempDir(), "streamkeeper.prom")
	figures := func() (inspected []string, runs string) {
		w.env.MustRun(t, "once", "inspect", "--metrics-file", path)
		text, err := os.ReadFile(path)
		mustDo(t, err)
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "streamkeeper_inspect_") {
				inspected = append(inspected, line)
			}
		}
		return inspected, string(text)
	}
	before, _ := figures()
	w.env.MustRun(t, "pause", "--for", "1h", "--job", "inspect")
	after, text := figures()
	if !slices.Equal(after, before) || !strings.Contains(strings.Join(before, ""), `stream="busy"`) {
		t.Errorf("before the pause\n%s\nafter\n%s", strings.Join(before, ""), strings.Join(after, ""))
	}
	if line := `streamkeeper_job_runs_total{job="inspect",result="skipped"} 1`; !strings.Contains(text, line) {
		t.Errorf("no line %s in\n%s", line, text)
	}
}

// withoutState are the lines of a dump that are not about our own keys.
func withoutState(dump string) string {
	var kept []string
	for line := range strings.Lines(dump) {
		if !strings.Contains(line, "streamkeeper:") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

func TestThePausesOfOthersAreShownAndEndedByTheirEscapedIDs(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	w := newFixture(server.Client, server.URL())
	at := time.Now().UnixMilli()
	odd := "a\x1b[31m\xff\\"
	mustDo(t, w.client.HSet(t.Context(), "streamkeeper:pauses", odd, fmt.Sprintf(`%d %d {"job":"x\u001b"}`, at+600_000, at)).Err())
	const shown = `a\x1b[31m\xff\\`
	for _, args := range [][]string{{"pause", "list"}, {"plan"}} {
		if out := w.env.MustRun(t, args...); !strings.Contains(out, shown) || strings.Contains(out, "\x1b") {
			t.Errorf("%v: %q", args, out)
		}
	}
	list := decode[struct{ Pauses []struct{ ID string } }](t, w.env.MustRun(t, "pause", "list", "-o", "json"))
	if len(list.Pauses) != 1 || list.Pauses[0].ID != shown {
		t.Fatalf("%+v", list)
	}
	if out := w.env.MustRun(t, "resume", list.Pauses[0].ID); !strings.Contains(out, shown) || w.client.HLen(t.Context(), "streamkeeper:pauses").Val() != 0 {
		t.Errorf("resume: %q", out)
	}
}

func TestAPauseOfSomeStreamsIsForThemAlone(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	w.env.MustRun(t, "pause", "--for", "1d", "--stream", "bus?", "--job", "trim")
	once := decode[onceJSON](t, w.env.MustRun(t, "once", "trim", "cleanup", "-o", "json"))
	if once.Jobs[0]["paused"] != nil || once.Jobs[1]["paused"] != nil || once.Jobs[1]["sessions_expired"] != 2.0 {
		t.Errorf("%v", once.Jobs)
	}
	w.left(t, "busy", 2500)
	w.left(t, "exact: one", 1000)
}

func TestPauseRefusesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	env := program.Env{"REDIS_URL": redistest.Start(t).URL()}
	for args, says := range map[string]string{
		"":                       "--for is missing",
		"--for 31d":              "1s to 30d",
		"--for -1h":              "1s to 30d",
		"--for 1h --job all":     "allowed: trim, cleanup, inspect",
		`--for 1h --stream "odd`: "not a quoted",
		"--for soon":             "want a duration",
		"--for 1h and more":      "unknown command",
	} {
		if code, _, errs := env.Run(t, append([]string{"pause"}, strings.Fields(args)...)...); code != cli.ExitUsage || !strings.Contains(errs, says) {
			t.Errorf("pause %s: exit %d\n%s", args, code, errs)
		}
	}
	for args, says := range map[string]string{
		"trim --max-length 100":                    "--stream",
		"--stream * --max-length 100":              "once trim --stream",
		"trim cleanup --stream * --max-length 100": "once trim --stream",
		"trim --stream * --max-length 3":           "--max-length",
		"trim --stream * --max-age soon":           "--max-age",
		"trim --stream * --max-bytes 1":            "--max-bytes",
	} {
		if code, _, errs := env.Run(t, append([]string{"once"}, strings.Fields(args)...)...); code != cli.ExitUsage || !strings.Contains(errs, says) {
			t.Errorf("once %s: exit %d\n%s", args, code, errs)
		}
	}
}

func TestLimitsOfOneRunAreForTheStreamsOfItsPattern(t *testing.T) {
	t.Parallel()
	w := startFixture(t)
	w.env["TRIM_POLICIES"] = "busy: max_length=2000; exact*: keep=all"
	noted := w.client.HGetAll(t.Context(), "streamkeeper:policy").Val()
	w.env.MustRun(t, "once", "trim", "--stream", "busy", "--stream", "exact*", "--max-length", "100")
	if n := w.client.XLen(t.Context(), "stream:busy").Val(); n < 100 || n >= 200 {
		t.Errorf("busy has %d entries", n)
	}
	w.left(t, "exact: one", 1777)
	w.left(t, "short*", 990)
	if now := w.client.HGetAll(t.Context(), "streamkeeper:policy").Val(); fmt.Sprint(now) != fmt.Sprint(noted) {
		t.Errorf("the policy of one run is noted: %v", now)
	}
}

func TestEveryDaemonKeepsToAPause(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	s.Client.SAdd(ctx, "streams", "busy")
	go func() { // a producer that never rests
		for i := 0; ctx.Err() == nil; i++ {
			pipe := s.Client.Pipeline()
			for range 20 {
				pipe.XAdd(ctx, &redis.XAddArgs{Stream: "stream:busy", Values: []any{"id", "1", "data", "x"}})
			}
			_, _ = pipe.Exec(ctx)
			time.Sleep(10 * time.Millisecond)
		}
	}()
	settings := map[string]string{"TRIM_MAX_LENGTH": "100", "TRIM_EXACT": "true"}
	one, two := program.StartChecked(t, s.URL(), settings), program.StartChecked(t, s.URL(), settings)
	removed := func() int64 {
		info, err := s.Client.XInfoStream(ctx, "stream:busy").Result()
		if err != nil {
			return 0
		}
		return info.EntriesAdded - info.Length
	}
	program.Eventually(t, 20*time.Second, "streams are trimmed", func() bool { return removed() > 1000 })
	leader := program.LeaderOf(t, 10*time.Second, []*program.Instance{one, two})

	env := program.Env{"REDIS_URL": s.URL()}
	id := pauseID(t, env, "--for", "1h", "--reason", "test day")
	time.Sleep(3 * time.Second)
	before := removed()
	time.Sleep(3 * time.Second)
	if now := removed(); now != before {
		t.Errorf("%d entries went in the pause", now-before)
	}
	for _, r := range []*program.Instance{one, two} {
		program.Eventually(t, 10*time.Second, "it says so", func() bool {
			_, metrics := r.Get("/metrics")
			_, health := r.Get("/health")
			return strings.Contains(metrics, `streamkeeper_paused{job="trim"} 1`) && strings.Contains(health, id) && strings.Contains(r.Log.String(), `"msg":"paused"`)
		})
	}
	if code, _ := leader.Get("/health"); code != 200 {
		t.Errorf("health is %d", code)
	}
	if _, page := leader.Get("/"); !strings.Contains(page, "streamkeeper resume "+id) {
		t.Error("the page does not say how to end it")
	}
	if _, metrics := leader.Get("/metrics"); !strings.Contains(metrics, `streamkeeper_job_runs_total{job="trim",result="skipped"}`) ||
		strings.Contains(metrics, `streamkeeper_job_runs_total{job="trim",result="skipped"} 0`) {
		t.Error("the runs do not count as skipped")
	}
	// Another leader keeps to it, too.
	leader.Kill()
	time.Sleep(4 * time.Second)
	if now := removed(); now != before {
		t.Errorf("%d entries went in the pause, under another leader", now-before)
	}
	env.MustRun(t, "resume", id)
	program.Eventually(t, 10*time.Second, "streams are trimmed again", func() bool { return removed() > before })
	// A short one ends by itself.
	env.MustRun(t, "pause", "--for", "3s", "--job", "trim")
	time.Sleep(2 * time.Second)
	before = removed()
	program.Eventually(t, 10*time.Second, "the pause ends by itself", func() bool { return removed() > before })
}

func TestAPauseHoldsAtMaxmemory(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	mustDo(t, w.client.ConfigSet(t.Context(), "maxmemory", "1").Err())
	w.env.MustRun(t, "pause", "--for", "1h")
	w.env.MustRun(t, "once", "trim")
	w.left(t, "busy", 2500)
	w.env.MustRun(t, "resume")
	w.env.MustRun(t, "once", "trim")
	w.left(t, "busy", 1000)
}
