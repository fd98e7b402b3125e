package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// processes are the servers that run beside us.
type processes struct {
	// dir is for their data, logs for a log of each.
	dir, logs string
	running   []*process
}

type process struct {
	name string
	log  string
	cmd  *exec.Cmd
	// ended is closed when the process has.
	ended chan struct{}
}

// start starts a server.
func (p *processes) start(path string, args ...string) (*process, error) {
	name := filepath.Base(path)
	s := &process{
		name: name, log: filepath.Join(p.logs, fmt.Sprintf("%d-%s.log", len(p.running), name)),
		cmd: exec.Command(path, args...), ended: make(chan struct{}),
	}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the server has its own
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		_ = s.cmd.Wait() // how it ended is in ProcessState
		close(s.ended)
	}()
	p.running = append(p.running, s)
	return s, nil
}

// await waits until the server is ready.
func (s *process) await(ctx context.Context, ready func() error) error {
	return until(ctx, time.Minute, "waiting for "+s.name, func() error {
		select {
		case <-s.ended:
			return final{fmt.Errorf("it ended: %s", s.cmd.ProcessState)}
		default:
			return ready()
		}
	})
}

// explain says where the logs are, and shows the end of that of each server
// which has ended too soon.
func (p *processes) explain(to io.Writer) {
	fmt.Fprintf(to, "\nlogs are in %s\n", p.logs)
	for _, s := range p.running {
		select {
		case <-s.ended:
			text, _ := os.ReadFile(s.log)
			lines := strings.Split(string(text), "\n")
			fmt.Fprintf(to, "%s ended; its last lines:\n%s\n", s.name, strings.Join(lines[max(0, len(lines)-20):], "\n"))
		default:
		}
	}
}

// stop ends all servers, the last one first.
func (p *processes) stop() error {
	var failed error
	for len(p.running) > 0 {
		last := len(p.running) - 1
		failed = errors.Join(failed, p.running[last].stop(10*time.Second))
		p.running = p.running[:last]
	}
	return failed
}

// stop asks the server to end, and makes it after a while.
func (s *process) stop(grace time.Duration) error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-s.ended:
		return nil
	case <-time.After(grace):
		_ = s.cmd.Process.Kill()
		<-s.ended
		return fmt.Errorf("%s did not end within %s of SIGTERM", s.name, grace)
	}
}

// startRedis starts a server for data and returns its address.
func (p *processes) startRedis(ctx context.Context, args ...string) (string, error) {
	addrs, err := freeAddrs(1)
	if err != nil {
		return "", err
	}
	_, port, _ := net.SplitHostPort(addrs[0])
	s, err := p.start("redis-server", append([]string{"--port", port, "--bind", "127.0.0.1", "--dir", p.dir, "--save", ""}, args...)...)
	if err != nil {
		return "", err
	}
	return addrs[0], s.await(ctx, func() error { return dial(addrs[0]) })
}

// final is an error that waiting does not mend.
type final struct{ error }

// until tries something a few times a second until it succeeds.
func until(ctx context.Context, limit time.Duration, what string, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return nil
		}
		if f, ok := errors.AsType[final](err); ok {
			return fmt.Errorf("%s: %w", what, f.error)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w; at last: %w", what, context.Cause(ctx), err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// freeAddrs finds addresses on loopback that nobody listens on, all different,
// with ports below those that the system gives to outgoing connections.
func freeAddrs(n int) ([]string, error) {
	var held []net.Listener // till the end, so that each is another
	defer func() {
		for _, l := range held {
			_ = l.Close()
		}
	}()
	var addrs []string
	var failed error
	for tries := 0; len(addrs) < n; tries++ {
		if tries == 100 {
			return nil, fmt.Errorf("looking for free ports: %w", failed)
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(22_000)))
		if err != nil {
			failed = err
			continue
		}
		held = append(held, l)
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}
