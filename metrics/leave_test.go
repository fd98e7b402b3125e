package metrics

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/trim"
)

// lines are those of a file that hold samples.
func lines(t *testing.T, path string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") {
			if all[line] {
				t.Errorf("%s is there twice", line)
			}
			all[line] = true
		}
	}
	return all
}

// atTime are the metrics of a process so long after the others.
func atTime(after time.Duration) *Metrics {
	m := New(Options{MaxStreams: 5, Jobs: append(testJobs, "metrics"), Reasons: testReasons, Now: func() time.Time { return testNow.Add(after) }})
	m.Leader(true)
	return m
}

func mustWrite(t *testing.T, m *Metrics, path string, endings Endings) {
	t.Helper()
	if err := m.WriteFile(path, endings); err != nil {
		t.Fatal(err)
	}
}

// leaveGoodRun is a run of everything that found something.
func leaveGoodRun(t *testing.T, path string) {
	t.Helper()
	m := atTime(0)
	m.RedisUp(true)
	shows(m, "a")
	m.TrimRemoved("a", trim.ByLength, 7)
	m.InspectStarted()
	m.Inspected(Message{Stream: "a", Verdict: burst.Invalid})
	m.InspectEnded(true)
	m.Sessions(cleanup.Malformed, 3)
	endings := Endings{"trim": Good, "cleanup": Good, "inspect": Good, "metrics": Good}
	for job := range endings {
		m.JobRun(Run{Job: job, Result: ResultOK, Took: time.Second})
	}
	mustWrite(t, m, path, endings)
}

func wantLines(t *testing.T, path string, want ...string) {
	t.Helper()
	got := lines(t, path)
	for _, line := range want {
		if !got["streamkeeper_"+line] {
			t.Errorf("there is no %s", line)
		}
	}
	if t.Failed() {
		t.Log(strings.Join(slices.Sorted(maps.Keys(got)), "\n"))
	}
}

func TestAFileKeepsWhatTheLastGoodRunSaidThroughOneThatBrokeOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "streamkeeper.prom")
	leaveGoodRun(t, path)
	m := atTime(time.Minute)
	endings := Endings{"trim": Broken, "cleanup": Broken, "inspect": Broken, "metrics": Broken}
	for job := range endings {
		m.JobRun(Run{Job: job, Result: ResultError})
	}
	mustWrite(t, m, path, endings)
	wantLines(t, path,
		`redis_up 0`,
		`job_last_run_ok{job="trim"} 0`,
		`job_last_run_timestamp_seconds{job="trim"} 1.773501026e+09`,
		`job_last_success_timestamp_seconds{job="trim"} 1.773500966e+09`,
		`job_runs_total{job="trim",result="error"} 1`,
		`job_runs_total{job="trim",result="ok"} 0`,
		`stream_entries{stream="a"} 1`,
		`trim_entries_removed_total{reason="length",stream="a"} 7`,
		`last_run_invalid_messages{stream="a"} 1`,
		`sessions{state="malformed"} 3`,
	)
}

func TestAFileKeepsWhatAnotherJobSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "streamkeeper.prom")
	leaveGoodRun(t, path)
	m := atTime(time.Minute)
	m.RedisUp(true)
	shows(m, "b")
	m.TrimRemoved("b", trim.ByLength, 9)
	m.JobRun(Run{Job: "trim", Result: ResultOK})
	mustWrite(t, m, path, Endings{"trim": Good, "metrics": Good})
	wantLines(t, path,
		`job_last_success_timestamp_seconds{job="trim"} 1.773501026e+09`,
		`job_last_success_timestamp_seconds{job="cleanup"} 1.773500966e+09`,
		`job_last_run_ok{job="cleanup"} 1`,
		`sessions{state="malformed"} 3`,
		`last_run_invalid_messages{stream="a"} 1`,
		`stream_entries{stream="b"} 1`,
		`trim_entries_removed_total{reason="length",stream="b"} 9`,
	)
	for line := range lines(t, path) {
		if strings.Contains(line, `stream="a"`) && !strings.Contains(line, "inspect") && !strings.Contains(line, "invalid") {
			t.Errorf("%s is of a reading that is old", line)
		}
	}
}

// A run in which single items failed has come to its end: it has news, but none
// of success.
func TestARunWithFlawsSaysWhatItFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "streamkeeper.prom")
	leaveGoodRun(t, path)
	m := atTime(time.Minute)
	m.Sessions(cleanup.Malformed, 4)
	m.JobRun(Run{Job: "cleanup", Result: ResultError})
	mustWrite(t, m, path, Endings{"cleanup": Flawed})
	wantLines(t, path, `sessions{state="malformed"} 4`, `job_last_run_ok{job="cleanup"} 0`,
		`job_last_success_timestamp_seconds{job="cleanup"} 1.773500966e+09`)
}

func TestAFileOfSomebodyElseIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "streamkeeper.prom")
	for _, text := range []string{"", "nonsense {", "streamkeeper_streams{a=\"b\"} 1\nother 1\n", "# TYPE streamkeeper_streams counter\nstreamkeeper_streams 5\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		mustWrite(t, atTime(0), path, Endings{"trim": Good, "metrics": Good})
		wantLines(t, path, `streams 0`)
		for line := range lines(t, path) {
			if !strings.HasPrefix(line, "streamkeeper_") {
				t.Errorf("%q left %s", text, line)
			}
		}
	}
}

// Two CronJobs may end in the same second.
func TestJobsThatEndAtOnceLoseNothingOfEachOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "streamkeeper.prom")
	var all sync.WaitGroup
	for _, job := range testJobs {
		all.Go(func() {
			for range 20 {
				m := atTime(0)
				m.JobRun(Run{Job: job, Result: ResultOK})
				if err := m.WriteFile(path, Endings{job: Good}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for _, job := range testJobs {
		wantLines(t, path, `job_last_run_ok{job="`+job+`"} 1`)
	}
}

// FuzzFileBefore writes over whatever may lie there: what comes out can be read.
func FuzzFileBefore(f *testing.F) {
	f.Add([]byte("streamkeeper_streams 1\n"))
	f.Add([]byte("# TYPE streamkeeper_job_duration_seconds histogram\nstreamkeeper_job_duration_seconds_bucket{job=\"trim\",le=\"1\"} 1\n"))
	f.Add([]byte("# TYPE streamkeeper_sessions gauge\nstreamkeeper_sessions{state=\"live\"} NaN\nstreamkeeper_sessions{state=\"\\xff\"} 1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "streamkeeper.prom")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := atTime(0).WriteFile(path, Endings{"trim": Broken}); err != nil {
			t.Fatal(err)
		}
		if families := readFile(path); families["streamkeeper_redis_up"] == nil {
			t.Error("what was written cannot be read")
		}
	})
}
