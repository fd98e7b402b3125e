package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// metricsOfOnce runs once with a file for its metrics, and returns what is in it.
func metricsOfOnce(t *testing.T, env program.Env, wantExit int, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "streamkeeper.prom")
	if code, _, errs := env.Run(t, append([]string{"once", "--metrics-file", path}, args...)...); code != wantExit {
		t.Fatalf("exit %d, want %d\n%s", code, wantExit, errs)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func wantLines(t *testing.T, page string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(page, "\n"+line+"\n") {
			t.Errorf("the file has no line %s", line)
		}
	}
	if t.Failed() {
		t.Log(page)
	}
}

func TestOnceLeavesWhatItDidInAFile(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	page := metricsOfOnce(t, w.env, cli.ExitOK, "trim", "cleanup")
	wantLines(t, page,
		`streamkeeper_redis_up 1`,
		`streamkeeper_job_runs_total{job="trim",result="ok"} 1`,
		`streamkeeper_job_runs_total{job="cleanup",result="ok"} 1`,
		`streamkeeper_job_runs_total{job="inspect",result="ok"} 0`,
		`streamkeeper_sessions{state="live"} 2`,
		`streamkeeper_sessions{state="malformed"} 1`,
		`streamkeeper_sessions_expired_total 2`,
		`streamkeeper_streams_retired_total 2`,
		`streamkeeper_stream_entries{stream="busy"} 1000`,
		`streamkeeper_stream_limit_entries{stream="busy"} 1000`,
	)
}

// What is counted before the streams have labels of their own is lost to them.
func TestOnceCountsByStream(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	page := metricsOfOnce(t, w.env, cli.ExitOK, "trim", "inspect")
	wantLines(t, page, `streamkeeper_trim_entries_removed_total{reason="length",stream="_other"} 0`, `streamkeeper_one_shot 1`, `streamkeeper_dry_run 0`)
	if !strings.Contains(page, `streamkeeper_trim_entries_removed_total{reason="length",stream="busy"}`) ||
		strings.Contains(page, `streamkeeper_trim_entries_removed_total{reason="length",stream="busy"} 0`) ||
		!strings.Contains(page, `streamkeeper_inspect_messages_total{stream="busy"`) {
		t.Errorf("what was trimmed and inspected is not counted by stream:\n%s", page)
	}
}

func TestAFileKeepsWhatARunThatReachedRedisFound(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	path := filepath.Join(t.TempDir(), "streamkeeper.prom")
	leave := func(want int, args ...string) string {
		t.Helper()
		if code, _, errs := w.env.Run(t, append([]string{"once", "--metrics-file", path}, args...)...); code != want {
			t.Fatalf("exit %d, want %d\n%s", code, want, errs)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	success := func(page string) string {
		_, rest, _ := strings.Cut(page, `streamkeeper_job_last_success_timestamp_seconds{job="trim"} `)
		at, _, _ := strings.Cut(rest, "\n")
		return at
	}
	good := success(leave(cli.ExitOK, "trim"))
	leave(cli.ExitOK, "cleanup")
	page := leave(cli.ExitFailure, "--redis-url", "redis://127.0.0.1:1", "trim")
	wantLines(t, page,
		`streamkeeper_redis_up 0`,
		`streamkeeper_job_last_run_ok{job="trim"} 0`,
		`streamkeeper_job_last_run_ok{job="cleanup"} 1`,
		`streamkeeper_sessions{state="live"} 2`,
		`streamkeeper_stream_entries{stream="busy"} 1000`,
	)
	if at := success(page); at == "0" || at != good {
		t.Errorf("the last good run was at %s, and the file says %s", good, at)
	}
}

func TestOnceSaysInTheFileThatRedisIsAway(t *testing.T) {
	t.Parallel()
	env := program.Env{}
	page := metricsOfOnce(t, env, cli.ExitFailure, "--redis-url", "redis://127.0.0.1:1", "trim")
	wantLines(t, page,
		`streamkeeper_redis_up 0`,
		`streamkeeper_job_runs_total{job="trim",result="error"} 1`,
		`streamkeeper_job_runs_total{job="cleanup",result="error"} 0`,
	)
}

func TestADryRunCountsWhatWouldExpireAsStillThere(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	wantLines(t, metricsOfOnce(t, w.env, cli.ExitOK, "--dry-run", "cleanup"),
		`streamkeeper_sessions{state="stale"} 2`, `streamkeeper_sessions_expired_total 0`)
}

func TestAFileThatCannotBeWrittenFailsTheRun(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	path := filepath.Join(t.TempDir(), "missing", "streamkeeper.prom")
	if code, _, errs := w.env.Run(t, "once", "--metrics-file", path, "trim"); code != cli.ExitFailure || !strings.Contains(errs, path) {
		t.Errorf("exit %d, and it says %s", code, errs)
	}
}

// A run that is told to stop says nothing false of Redis, which would be a page.
func TestOnceThatIsToldToStopDoesNotSayThatRedisIsAway(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		nth   int64
		fault redistest.Fault
		ok    int
	}{
		"before Redis answered at all": {1, redistest.Fault{Hole: true}, 1},
		"in the middle of a job":       {12, redistest.Fault{Delay: 2 * time.Second}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			fillStream(t, s)
			proxy := redistest.StartProxy(t, s.Addr)
			path := filepath.Join(t.TempDir(), "streamkeeper.prom")
			env := program.Env{"REDIS_URL": proxy.URL(), "REDIS_TIMEOUT": "30s", "METRICS_FILE": path}
			env.MustRun(t, "once", "trim")
			fault, hung := after(c.nth, c.fault), make(chan struct{}, 1000)
			proxy.Set(func(command []string) redistest.Fault {
				f := fault(command)
				if f.Hole || f.Delay > 0 {
					hung <- struct{}{}
				}
				return f
			})
			cmd, errs := begun(t, env, nil, "once", "trim")
			<-hung
			time.Sleep(50 * time.Millisecond)
			if code := endsAtOnce(t, cmd, atOnce); code != cli.ExitFailure {
				t.Errorf("exit %d\n%s", code, errs)
			}
			text, err := os.ReadFile(path)
			mustDo(t, err)
			wantLines(t, string(text), "streamkeeper_redis_up 1", fmt.Sprintf(`streamkeeper_job_last_run_ok{job="trim"} %d`, c.ok))
		})
	}
}
