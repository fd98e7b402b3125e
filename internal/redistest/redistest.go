// Package redistest starts real redis-servers for tests and benchmarks.
package redistest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Server is a redis-server of the test's own on a free port of the loopback
// interface, with its data in a temporary folder.
type Server struct {
	// Addr is host:port.
	Addr string
	// Client speaks to the server as the test does.
	Client *redis.Client

	program string
	dir     string
	args    []string
	line    []string // the whole command line, where it is not that of a data server
	cmd     *exec.Cmd
	out     bytes.Buffer
}

// defaultProgram is looked for in PATH.
const defaultProgram = "redis-server"

// Start starts a server that ends with the test. The arguments are added to
// redis-server's command line: "--maxmemory", "4mb". A test without a
// redis-server fails: skipping would hide that it is missing.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s, err := Launch(t.TempDir(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// Launch is Start without a test; the caller stops the server.
func Launch(dir string, args ...string) (*Server, error) {
	s, err := newServer(dir, args)
	if err != nil {
		return nil, err
	}
	return s, s.Run()
}

// newServer is a server that does not run yet.
func newServer(dir string, args []string) (*Server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &Server{Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), program: defaultProgram, dir: dir, args: args}
	s.Client = redis.NewClient(&redis.Options{Addr: s.Addr, Protocol: 2, ReadTimeout: 30 * time.Second})
	return s, nil
}

// Run starts the server again after [Server.Kill], on the same port.
func (s *Server) Run() error {
	_, port, _ := net.SplitHostPort(s.Addr)
	args := s.line
	if args == nil {
		args = s.dataLine(port)
	}
	s.cmd = exec.Command(s.program, args...)
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("starting %s (make test installs redis-server): %w", s.program, err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
		if err == nil {
			_ = conn.Close()
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	s.Kill()
	return fmt.Errorf("%s did not come up: %s", s.program, s.out.String())
}

// dataLine is the command line of a server that holds data.
func (s *Server) dataLine(port string) []string {
	return append([]string{
		"--port", port, "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--appendonly", "no",
		"--loglevel", "warning", "--daemonize", "no",
	}, s.args...)
}

// URL is the server's address for streamkeeper.
func (s *Server) URL() string { return "redis://" + s.Addr + "/0" }

// PID is the server's process id.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Kill ends the server at once, as a crash does.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// Stop ends the server and the client.
func (s *Server) Stop() {
	_ = s.Client.Close()
	s.Kill()
}

// CommandCalls is how often each command was called since the last reset.
func (s *Server) CommandCalls(ctx context.Context) (map[string]int64, error) {
	info, err := s.Client.InfoMap(ctx, "commandstats").Result()
	if err != nil {
		return nil, fmt.Errorf("asking for the command statistics: %w", err)
	}
	calls := make(map[string]int64)
	for name, stats := range info["Commandstats"] {
		var n int64
		if _, err := fmt.Sscanf(stats, "calls=%d", &n); err == nil {
			calls[name[len("cmdstat_"):]] = n
		}
	}
	return calls, nil
}

// ResetCalls sets the command statistics to nothing.
func (s *Server) ResetCalls(ctx context.Context) error { return s.Client.ConfigResetStat(ctx).Err() }

// Dir is where the server keeps its data.
func (s *Server) Dir() string { return s.dir }

// FreeAddress is one of this machine that nobody listens at.
func FreeAddress(t testing.TB) string {
	t.Helper()
	port, err := freePort()
	must(t, err)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// freePort finds a port below those that the system gives to outgoing
// connections, one of which could else take it before the server does.
func freePort() (int, error) {
	var failed error
	for range 100 {
		port := 10_000 + rand.IntN(22_000)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
		failed = err
	}
	return 0, fmt.Errorf("looking for a free port: %w", failed)
}
