package e2e

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
	"github.com/streamkeeper/streamkeeper/web"
)

// fullPipe is a pipe that nobody reads, and that holds no byte more.
func fullPipe(t *testing.T) (reader, writer *os.File) {
	t.Helper()
	reader, writer, err := os.Pipe()
	mustDo(t, err)
	t.Cleanup(func() { _, _ = reader.Close(), writer.Close() })
	mustDo(t, writer.SetWriteDeadline(time.Now().Add(100*time.Millisecond)))
	for err == nil {
		_, err = writer.Write(make([]byte, 4096))
	}
	return reader, writer
}

// series is the value of a series without labels.
func series(r *program.Instance, name string) float64 {
	_, page := r.Get("/metrics")
	_, after, _ := strings.Cut("\n"+page, "\n"+name+" ")
	value, _, _ := strings.Cut(after, "\n")
	n, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return -1
	}
	return n
}

// fillStream appends entries that are over the limit of the daemons here.
func fillStream(t *testing.T, s *redistest.Server) {
	t.Helper()
	pipe := s.Client.Pipeline()
	pipe.SAdd(t.Context(), "streams", "busy")
	for i := range 3 * fleetLimit {
		pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: fleetKey, Values: []any{"id", i, "data", "x"}})
	}
	_, err := pipe.Exec(t.Context())
	mustDo(t, err)
}

var fleetSettings = map[string]string{"TRIM_MAX_LENGTH": fmt.Sprint(fleetLimit), "TRIM_EXACT": "true", "CLEANUP_BRAKE": "1"}

func trimmedNow(t *testing.T, s *redistest.Server) func() bool {
	return func() bool { return s.Client.XLen(t.Context(), fleetKey).Val() == fleetLimit }
}

func TestALogThatNobodyReadsHoldsNothingUp(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	reader, stderr := fullPipe(t)
	leader := program.StartTo(t, program.Path(t), s.URL(), fleetSettings, stderr)
	program.Eventually(t, 15*time.Second, "it leads", leader.Leads)
	other := program.Start(t, s.URL(), fleetSettings)
	if n := series(other, "streamkeeper_log_dropped_total"); n != 0 && n != -1 {
		t.Errorf("%v lines were dropped of a log that is read", n)
	}
	// Each session that expires is a line: more than what waits to be read.
	pipe := s.Client.Pipeline()
	old := time.Now().Add(-30 * time.Hour).UnixMilli()
	for i := range 1000 {
		pipe.HSet(t.Context(), "sessions", fmt.Sprint(i, " ", strings.Repeat("car", 1000)), fmt.Sprintf(`{"streamName":"gone %d","lastUpdated":%d,"json":"{}"}`, i, old))
	}
	_, err := pipe.Exec(t.Context())
	mustDo(t, err)
	program.Eventually(t, 30*time.Second, "dropped lines are counted", func() bool { return series(leader, "streamkeeper_log_dropped_total") > 0 })
	fillStream(t, s)
	program.Eventually(t, 5*time.Second, "the work goes on", trimmedNow(t, s))
	if code, _ := leader.Get("/"); code != 200 || !leader.Leads() || other.Leads() {
		t.Errorf("/ says %d, and the leader leads %t, the other %t", code, leader.Leads(), other.Leads())
	}
	// Whoever reads again is told.
	var log program.Buffer
	go func() { _, _ = reader.WriteTo(&log) }()
	program.Eventually(t, 10*time.Second, "the log says how much it lacks", func() bool { return strings.Contains(log.String(), `"msg":"log lines dropped"`) })
	begun := time.Now()
	leader.Stop()
	if code := leader.Ends(10 * time.Second); code != cli.ExitOK || time.Since(begun) > 5*time.Second {
		t.Errorf("exit %d after %s", code, time.Since(begun))
	}
}

func TestTheGraceIsKeptWhenNobodyReadsTheLog(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	_, stderr := fullPipe(t)
	r := program.StartTo(t, program.Path(t), s.URL(), fleetSettings, stderr)
	program.Eventually(t, 15*time.Second, "it leads", r.Leads)
	begun := time.Now()
	r.Stop()
	if code := r.Ends(10 * time.Second); code != cli.ExitOK || time.Since(begun) > 5*time.Second {
		t.Errorf("exit %d after %s", code, time.Since(begun))
	}
}

func TestALogWhoseReaderIsGoneEndsNothing(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	reader, writer, err := os.Pipe()
	mustDo(t, err)
	r := program.StartTo(t, program.Path(t), s.URL(), fleetSettings, writer)
	mustDo(t, writer.Close())
	program.Eventually(t, 15*time.Second, "it leads", r.Leads)
	mustDo(t, reader.Close())
	mustDo(t, s.Client.Set(t.Context(), "streams", "no set", 0).Err())
	program.Eventually(t, 15*time.Second, "what it says of failed runs is counted as dropped", func() bool { return series(r, "streamkeeper_log_dropped_total") > 0 })
	mustDo(t, s.Client.Del(t.Context(), "streams").Err())
	fillStream(t, s)
	program.Eventually(t, 5*time.Second, "the work goes on", trimmedNow(t, s))
	r.Stop()
	if code := r.Ends(10 * time.Second); code != cli.ExitOK {
		t.Errorf("exit %d", code)
	}
}

// hangJobs swallows all that jobs ask, and lets the lease pass.
func hangJobs(command []string) redistest.Fault {
	switch strings.ToLower(command[0]) {
	case "hello", "auth", "client", "select", "ping":
		return redistest.Fault{}
	}
	lease := slices.ContainsFunc(command, func(word string) bool { return strings.HasSuffix(word, ":lease") })
	return redistest.Fault{Hole: !lease}
}

func TestALeaderThatDoesNothingGivesTheLeaseUp(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	fillStream(t, s)
	proxy := redistest.StartProxy(t, s.Addr)
	patient := map[string]string{"REDIS_TIMEOUT": "90s", "SHUTDOWN_GRACE": "3s"}
	maps.Copy(patient, fleetSettings)
	stuck := program.Start(t, proxy.URL(), patient)
	program.Eventually(t, 15*time.Second, "it works", func() bool { return stuck.Leads() && stuck.Runs(jobs.Trim) > 0 })
	other := program.Start(t, s.URL(), fleetSettings)
	program.Eventually(t, 15*time.Second, "another follows", func() bool { return other.Status().Leader.Lease == "standby" })
	proxy.Set(hangJobs)
	fillStream(t, s)
	// Three periods, the lease's time to live, and what the election takes.
	program.Eventually(t, 15*time.Second, "the other leads", other.Leads)
	program.Eventually(t, 5*time.Second, "the other works", trimmedNow(t, s))
	if stuck.Leads() {
		t.Error("the one that hangs leads too")
	}
	if code, body := stuck.Get("/health"); code != 503 || !strings.Contains(body, "hangs: running since") {
		t.Errorf("/health of the one that hangs says %d: %s", code, body)
	}
	if code, _ := stuck.Get("/"); code != 200 {
		t.Errorf("/ of the one that hangs says %d", code)
	}
	program.Eventually(t, 5*time.Second, "the log says why it no longer leads", func() bool {
		return strings.Contains(stuck.Log.String(), "no job makes progress")
	})
	begun := time.Now()
	stuck.Stop()
	if code := stuck.Ends(10 * time.Second); code != cli.ExitFailure || time.Since(begun) > 3*time.Second+500*time.Millisecond {
		t.Errorf("exit %d after %s, with a grace of 3s", code, time.Since(begun))
	}
}

func TestAFormerLeaderShowsNoOldNews(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--maxmemory", "100mb")
	ctx := t.Context()
	fillStream(t, s)
	old := time.Now().Add(-30 * time.Hour).UnixMilli()
	for i := range 40 {
		mustDo(t, s.Client.HSet(ctx, "sessions", fmt.Sprint("car ", i), fmt.Sprintf(`{"streamName":"rocket","lastUpdated":%d,"json":"{}"}`, old)).Err())
	}
	settings := map[string]string{"TRIM_MAX_LENGTH": "100"}
	former := program.Start(t, s.URL(), settings)
	program.Eventually(t, 20*time.Second, "the guard trips", func() bool {
		status := former.Status()
		return status.NextCleanup.Brake != "" && status.Redis.Used > 0
	})
	mustDo(t, s.Client.Rename(ctx, "streams", "aside").Err())
	mustDo(t, s.Client.Set(ctx, "streams", "no set", 0).Err())
	program.Eventually(t, 20*time.Second, "runs fail", func() bool { return len(former.Status().Errors) > 0 })
	mustDo(t, s.Client.Rename(ctx, "aside", "streams").Err())
	next := program.Start(t, s.URL(), settings)
	former.Freeze()
	program.Eventually(t, 15*time.Second, "the next one leads", next.Leads)
	former.Wake()
	program.Eventually(t, 15*time.Second, "the former one stands by", func() bool { return former.Status().Leader.Lease == "standby" })
	program.Eventually(t, 5*time.Second, "no run of it is under way", func() bool {
		return !slices.ContainsFunc(former.Status().Jobs, func(j web.Job) bool { return j.Running })
	})
	status := former.Status()
	if status.NextCleanup.Brake != "" || status.Sessions.Stale != 0 || status.Redis.Used != 0 || len(status.Errors) != 0 || len(status.Streams.Largest) != 0 {
		t.Errorf("it still shows %+v %+v %+v %+v", status.NextCleanup, status.Sessions, status.Redis, status.Errors)
	}
	for _, j := range status.Jobs {
		if j.Result != "" || j.Error != "" || j.Summary != "" || !j.LastSuccess.IsZero() {
			t.Errorf("of a job it says %+v", j)
		}
	}
	if code, body := former.Get("/health"); code != 200 || strings.Contains(body, "guard") || strings.Contains(body, "failed") {
		t.Errorf("/health says %d: %s", code, body)
	}
	_, page := former.Get("/metrics")
	for _, line := range []string{`streamkeeper_brake_tripped{job="cleanup"} 0`, `streamkeeper_sessions{state="stale"} 0`, "streamkeeper_redis_memory_used_bytes 0", "streamkeeper_streams 0"} {
		if !strings.Contains(page, "\n"+line+"\n") {
			t.Errorf("the metrics lack %s", line)
		}
	}
}

func TestOnlyCommasSeparateStreams(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for _, name := range []string{"car;1", "car", "1"} {
		mustDo(t, s.Client.SAdd(t.Context(), "streams", name).Err())
		for range 30 {
			mustDo(t, s.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:" + name, Values: []any{"id", 1}}).Err())
		}
	}
	env := program.Env{"REDIS_URL": s.URL(), "TRIM_MAX_LENGTH": "10", "TRIM_EXACT": "true", "STREAMS_EXCLUDE": "car;1"}
	if code, _, errs := env.Run(t, "once", "trim"); code != cli.ExitUsage || !strings.Contains(errs, "separated by commas alone") {
		t.Errorf("exit %d\n%s", code, errs)
	}
	env["STREAMS_EXCLUDE"] = `"car;1"`
	env.MustRun(t, "once", "trim")
	for name, want := range map[string]int64{"car;1": 30, "car": 10, "1": 10} {
		if n := s.Client.XLen(t.Context(), "stream:"+name).Val(); n != want {
			t.Errorf("stream %q has %d entries, want %d", name, n, want)
		}
	}
}

// begun starts a command with a stdout of its own, and ends it with the test.
func begun(t *testing.T, env program.Env, stdout *os.File, args ...string) (*exec.Cmd, *program.Buffer) {
	t.Helper()
	cmd, errs := env.Command(t, args...), new(program.Buffer)
	cmd.Stderr = errs
	if stdout != nil {
		cmd.Stdout = stdout
	}
	mustDo(t, cmd.Start())
	return cmd, errs
}

// endsAtOnce interrupts a command, one time, and returns its exit code.
func endsAtOnce(t *testing.T, cmd *exec.Cmd, within time.Duration) int {
	t.Helper()
	at := time.Now()
	mustDo(t, cmd.Process.Signal(syscall.SIGINT))
	killed := time.AfterFunc(within+5*time.Second, func() { _ = cmd.Process.Kill() })
	defer killed.Stop()
	_ = cmd.Wait()
	if took := time.Since(at); took > within {
		t.Errorf("%s took %s to end", cmd, took)
	}
	return cmd.ProcessState.ExitCode()
}

// atOnce is how long a command may take to end: what it allows itself, and what a
// busy machine adds. Without an answer of Redis it would be the REDIS_TIMEOUT.
const atOnce = 3500 * time.Millisecond

// Beside others it could take longer only because the machine is busy.
func TestAnInterruptEndsACommandAtOnceWhenRedisHangs(t *testing.T) {
	for _, c := range []struct {
		args string
		exit int
	}{
		{"once", cli.ExitFailure},
		{"once --dry-run -o json", cli.ExitFailure},
		{"plan", cli.ExitFailure},
		{"inspect", cli.ExitFailure},
		{"inspect busy", cli.ExitFailure},
		{"inspect --follow busy", cli.ExitOK},
		{"doctor", cli.ExitFailure},
	} {
		for _, nth := range []int64{1, 2, 8} {
			t.Run(fmt.Sprintf("%s at command %d", c.args, nth), func(t *testing.T) {
				t.Parallel()
				s := redistest.Start(t)
				fillStream(t, s)
				proxy := redistest.StartProxy(t, s.Addr)
				hole := after(nth, redistest.Fault{Hole: true})
				hung := make(chan struct{}, 1000)
				proxy.Set(func(command []string) redistest.Fault {
					f := hole(command)
					if f.Hole {
						hung <- struct{}{}
					}
					return f
				})
				env := program.Env{"REDIS_URL": proxy.URL(), "REDIS_TIMEOUT": "30s"}
				cmd, errs := begun(t, env, nil, strings.Fields(c.args)...)
				<-hung
				time.Sleep(50 * time.Millisecond)
				if code := endsAtOnce(t, cmd, atOnce); code != c.exit {
					t.Errorf("exit %d\n%s", code, errs)
				}
			})
		}
	}
}

func TestADaemonThatNeverReachedRedisEndsAtOnce(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	proxy := redistest.StartProxy(t, s.Addr)
	for _, nth := range []int64{1, 2} {
		hole := after(nth, redistest.Fault{Hole: true})
		hung := make(chan struct{}, 1000)
		proxy.Set(func(command []string) redistest.Fault {
			f := hole(command)
			if f.Hole {
				hung <- struct{}{}
			}
			return f
		})
		r := program.Start(t, proxy.URL(), map[string]string{"REDIS_TIMEOUT": "60s", "SHUTDOWN_GRACE": "20s"})
		<-hung
		begun := time.Now()
		r.Stop()
		if code := r.Ends(25 * time.Second); code != cli.ExitOK || time.Since(begun) > atOnce {
			t.Errorf("at command %d: exit %d after %s", nth, code, time.Since(begun))
		}
	}
}

func TestTheNoteOfTheInstanceDoesNotHoldTheEndUp(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	fillStream(t, s)
	proxy := redistest.StartProxy(t, s.Addr)
	hung := make(chan struct{}, 1000)
	proxy.Set(func(command []string) redistest.Fault {
		hole := slices.ContainsFunc(command, func(word string) bool { return strings.HasSuffix(word, ":instances") })
		if hole {
			hung <- struct{}{}
		}
		return redistest.Fault{Hole: hole}
	})
	r := program.Start(t, proxy.URL(), map[string]string{"REDIS_TIMEOUT": "60s", "SHUTDOWN_GRACE": "20s", "CLEANUP_ENABLED": "false"})
	<-hung
	program.Eventually(t, 15*time.Second, "it leads", r.Leads)
	begun := time.Now()
	r.Stop()
	if code := r.Ends(25 * time.Second); code != cli.ExitOK || time.Since(begun) > atOnce {
		t.Errorf("exit %d after %s", code, time.Since(begun))
	}
}

func TestOneSignalEndsACommandWhoseResultNobodyReads(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	fillStream(t, s)
	for _, args := range []string{"inspect --follow busy --since 0 -o json", "plan --all", "once -o json", "config", "inspect"} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			_, stdout := fullPipe(t)
			cmd, errs := begun(t, program.Env{"REDIS_URL": s.URL(), "TRIM_MAX_LENGTH": "100"}, stdout, strings.Fields(args)...)
			time.Sleep(3 * time.Second) // until it writes; there is nothing to be seen of that
			if code := endsAtOnce(t, cmd, atOnce); code != cli.ExitFailure || !strings.Contains(errs.String(), "cannot write the result: nobody reads it") {
				t.Errorf("exit %d\n%s", code, errs)
			}
		})
	}
}

func TestAResultThatCannotBeWrittenIsSaidAndFails(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	fillStream(t, s)
	for i := range 40 {
		mustDo(t, s.Client.HSet(t.Context(), "sessions", fmt.Sprint("car ", i), fmt.Sprintf(`{"streamName":"x","lastUpdated":%d,"json":"{}"}`, time.Now().Add(-30*time.Hour).UnixMilli())).Err())
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	mustDo(t, err)
	t.Cleanup(func() { _ = full.Close() })
	env := program.Env{"REDIS_URL": s.URL(), "TRIM_MAX_LENGTH": "100"}
	if code, _, errs := env.Run(t, "once"); code != cli.ExitBrake {
		t.Fatalf("the guard does not trip: exit %d\n%s", code, errs)
	}
	for _, args := range []string{"once", "once -o json", "plan", "inspect", "inspect -o json", "inspect --follow busy --since 0 --count 5", "config", "acl", "version", "once --help", "demo --for 1s"} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			cmd, errs := begun(t, env, full, strings.Fields(args)...)
			_ = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != cli.ExitFailure || strings.Count(errs.String(), "no space left on device") != 1 {
				t.Errorf("exit %d\n%s", code, errs)
			}
		})
	}
}

// hasSocket waits until a process has a socket: by then it takes signals itself.
func hasSocket(t *testing.T, pid int) {
	t.Helper()
	program.Eventually(t, 10*time.Second, "it has a socket", func() bool {
		dir := fmt.Sprintf("/proc/%d/fd", pid)
		open, err := os.ReadDir(dir)
		mustDo(t, err)
		return slices.ContainsFunc(open, func(fd os.DirEntry) bool {
			to, _ := os.Readlink(filepath.Join(dir, fd.Name()))
			return strings.HasPrefix(to, "socket:")
		})
	})
}

func TestADemoThatIsInterruptedAtItsStartExitsAsLater(t *testing.T) {
	t.Parallel()
	for _, ms := range []int{0, 3, 10, 30, 100, 300, 1000} {
		t.Run(fmt.Sprintf("after %d ms", ms), func(t *testing.T) {
			t.Parallel()
			cmd, errs := begun(t, program.Env{"LISTEN": "127.0.0.1:0"}, nil, "demo")
			hasSocket(t, cmd.Process.Pid)
			time.Sleep(time.Duration(ms) * time.Millisecond)
			if code := endsAtOnce(t, cmd, 5*time.Second); code != cli.ExitOK {
				t.Errorf("exit %d\n%s", code, errs)
			}
		})
	}
}
