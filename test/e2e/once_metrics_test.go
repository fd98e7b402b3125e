package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/program"
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
