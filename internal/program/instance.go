package program

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/settings"
	"github.com/streamkeeper/streamkeeper/web"
)

// Instance is a streamkeeper that runs.
type Instance struct {
	t   *testing.T
	cmd *exec.Cmd
	// URL is where its HTTP is.
	URL string
	// Log is what it writes to stderr.
	Log    *Buffer
	exited chan struct{}
}

// Buffer may be read while a process writes to it.
type Buffer struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}

// Hurried are settings under which everything happens every second.
func Hurried() map[string]string {
	return map[string]string{
		"TRIM_SCHEDULE": "@every 1s", "CLEANUP_SCHEDULE": "@every 1s", "INSPECT_SCHEDULE": "@every 1s", "METRICS_INTERVAL": "1s",
		"LEASE_TTL": "1s", "SHUTDOWN_GRACE": "5s", "REDIS_TIMEOUT": "1s",
	}
}

// Start starts `streamkeeper run` against a Redis, hurried, with settings
// besides. It ends with the test at the latest.
func Start(t *testing.T, redisURL string, more map[string]string) *Instance {
	t.Helper()
	log := new(Buffer)
	return start(t, Path(t), redisURL, more, log, log)
}

// StartChecked is [Start] with the race detector, as [CheckedPath] has it.
func StartChecked(t *testing.T, redisURL string, more map[string]string) *Instance {
	t.Helper()
	log := new(Buffer)
	return start(t, CheckedPath(t), redisURL, more, log, log)
}

// StartTo is [Start] with a program and a stderr of the test's choice.
func StartTo(t *testing.T, path, redisURL string, more map[string]string, stderr io.Writer) *Instance {
	t.Helper()
	return start(t, path, redisURL, more, stderr, new(Buffer))
}

func start(t *testing.T, path, redisURL string, more map[string]string, stderr io.Writer, log *Buffer) *Instance {
	t.Helper()
	address := FreeAddress(t)
	r := &Instance{t: t, URL: "http://" + address, Log: log, exited: make(chan struct{})}
	r.cmd = exec.Command(path, "run")
	r.cmd.Stderr = stderr
	env := Env{"REDIS_URL": redisURL, "LISTEN": address}
	for _, all := range []map[string]string{Hurried(), more} {
		maps.Copy(env, all)
	}
	r.cmd.Env = env.variables()
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = r.cmd.Wait()
		close(r.exited)
	}()
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		<-r.exited
		noRace(t, r.cmd, r.Log.String())
		if t.Failed() {
			t.Logf("log of %s:\n%s", r.URL, r.Log)
		}
	})
	return r
}

// FreeAddress is one of this machine that nobody listens at.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// Signal sends a signal.
func (r *Instance) Signal(s os.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.t.Fatal(err)
	}
}

// Kill ends it without warning.
func (r *Instance) Kill() { r.Signal(syscall.SIGKILL) }

// PID is the number of the process.
func (r *Instance) PID() int { return r.cmd.Process.Pid }

// Freeze stops it where it is, until [Instance.Wake].
func (r *Instance) Freeze() { r.Signal(syscall.SIGSTOP) }

// Wake lets it go on.
func (r *Instance) Wake() { r.Signal(syscall.SIGCONT) }

// Stop asks it to end.
func (r *Instance) Stop() { r.Signal(syscall.SIGTERM) }

// Ends waits for the process to end and returns its exit code, or -1 after a
// signal.
func (r *Instance) Ends(within time.Duration) int {
	r.t.Helper()
	select {
	case <-r.exited:
	case <-time.After(within):
		r.t.Fatalf("still running after %s", within)
	}
	return r.cmd.ProcessState.ExitCode()
}

// Get asks the replica for something; the status is 0 if it does not answer.
func (r *Instance) Get(path string) (status int, body string) {
	client := http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.URL+path, http.NoBody)
	if err != nil {
		r.t.Fatal(err)
	}
	if path == "/" {
		request.Header.Set("Accept", "text/html")
	}
	answer, err := client.Do(request)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, ""
	}
	return answer.StatusCode, string(text)
}

// Status is status.json.
func (r *Instance) Status() (s web.Status) {
	_, body := r.Get("/status.json")
	_ = json.Unmarshal([]byte(body), &s)
	return s
}

// Leads reports whether it holds the lease.
func (r *Instance) Leads() bool { return r.Status().Leader.Leading }

// Runs is how often a job was done well here.
func (r *Instance) Runs(job string) (n int) {
	_, page := r.Get("/metrics")
	_, after, _ := strings.Cut(page, fmt.Sprintf("streamkeeper_job_runs_total{job=%q,result=\"ok\"} ", job))
	_, _ = fmt.Sscan(after, &n)
	return n
}

// Eventually waits until something holds, and returns how long that took.
func Eventually(t *testing.T, within time.Duration, what string, holds func() bool) time.Duration {
	t.Helper()
	begun := time.Now()
	for !holds() {
		if time.Since(begun) > within {
			t.Fatalf("not within %s: %s", within, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(begun)
}

// LeaderOf waits until one of the replicas leads, and returns it.
func LeaderOf(t *testing.T, within time.Duration, replicas []*Instance) (leader *Instance) {
	t.Helper()
	Eventually(t, within, "a replica leads", func() bool {
		for _, r := range replicas {
			if r.Leads() {
				leader = r
				return true
			}
		}
		return false
	})
	return leader
}

// Serve runs `streamkeeper run`, of a program that is [Path] or [CheckedPath], with its
// HTTP at an address until ctx ends. It returns what was written to stderr.
func (e Env) Serve(ctx context.Context, t testing.TB, path, address string) (log string, err error) {
	t.Helper()
	var stderr Buffer
	cmd := exec.CommandContext(ctx, path, "run")
	cmd.Stderr = &stderr
	cmd.Env = append(e.variables(), settings.Prefix+"_LISTEN="+address)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	err = cmd.Run()
	noRace(t, cmd, stderr.String())
	return stderr.String(), err
}
