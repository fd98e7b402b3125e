package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/web"
)

// asProgram makes the test's binary run as streamkeeper itself, so that tests
// can kill and freeze it.
const asProgram = "TEST_RUNS_AS_STREAMKEEPER"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// replica is a streamkeeper that runs as a process of its own.
type replica struct {
	t   *testing.T
	cmd *exec.Cmd
	// url is where its HTTP is.
	url    string
	log    *lockedBuffer
	exited chan struct{}
}

// lockedBuffer may be read while a process writes to it.
type lockedBuffer struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}

// hurried are settings under which everything happens every second.
func hurried() map[string]string {
	return map[string]string{
		"TRIM_SCHEDULE": "@every 1s", "CLEANUP_SCHEDULE": "@every 1s", "INSPECT_SCHEDULE": "@every 1s", "METRICS_INTERVAL": "1s",
		"LEASE_TTL": "1s", "SHUTDOWN_GRACE": "5s", "REDIS_TIMEOUT": "1s",
	}
}

// startReplica starts `streamkeeper run` against a Redis, hurried, with settings
// besides. It ends with the test at the latest.
func startReplica(t *testing.T, redisURL string, settings map[string]string) *replica {
	t.Helper()
	address := freeAddress(t)
	r := &replica{t: t, url: "http://" + address, log: new(lockedBuffer), exited: make(chan struct{})}
	r.cmd = exec.Command(os.Args[0], "run")
	r.cmd.Stderr = r.log
	r.cmd.Env = []string{asProgram + "=1", "STREAMKEEPER_REDIS_URL=" + redisURL, "STREAMKEEPER_LISTEN=" + address}
	for _, all := range []map[string]string{hurried(), settings} {
		for name, value := range all {
			r.cmd.Env = append(r.cmd.Env, "STREAMKEEPER_"+name+"="+value)
		}
	}
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
		if t.Failed() {
			t.Logf("log of %s:\n%s", r.url, r.log)
		}
	})
	return r
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func (r *replica) signal(s os.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.t.Fatal(err)
	}
}

func (r *replica) kill()   { r.signal(syscall.SIGKILL) }
func (r *replica) freeze() { r.signal(syscall.SIGSTOP) }
func (r *replica) wake()   { r.signal(syscall.SIGCONT) }
func (r *replica) stop()   { r.signal(syscall.SIGTERM) }

// ends waits for the process to end and returns its exit code, or -1 after a
// signal.
func (r *replica) ends(within time.Duration) int {
	r.t.Helper()
	select {
	case <-r.exited:
	case <-time.After(within):
		r.t.Fatalf("still running after %s", within)
	}
	return r.cmd.ProcessState.ExitCode()
}

// get asks the replica for something; the status is 0 if it does not answer.
func (r *replica) get(path string) (status int, body string) {
	client := http.Client{Timeout: 2 * time.Second}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.url+path, http.NoBody)
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

func (r *replica) status() (s web.Status) {
	_, body := r.get("/status.json")
	_ = json.Unmarshal([]byte(body), &s)
	return s
}

func (r *replica) leads() bool { return r.status().Leader.Leading }

// runs is how often a job was done well here.
func (r *replica) runs(job string) (n int) {
	_, page := r.get("/metrics")
	_, after, _ := strings.Cut(page, fmt.Sprintf("streamkeeper_job_runs_total{job=%q,result=\"ok\"} ", job))
	_, _ = fmt.Sscan(after, &n)
	return n
}

// eventually waits until something holds, and returns how long that took.
func eventually(t *testing.T, within time.Duration, what string, holds func() bool) time.Duration {
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

// leaderOf waits until one of the replicas leads, and returns it.
func leaderOf(t *testing.T, within time.Duration, replicas []*replica) (leader *replica) {
	t.Helper()
	eventually(t, within, "a replica leads", func() bool {
		for _, r := range replicas {
			if r.leads() {
				leader = r
				return true
			}
		}
		return false
	})
	return leader
}
