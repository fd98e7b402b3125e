package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// kubelet runs the commands of the Pods on the node, as processes of this machine.
type kubelet struct {
	api     *api
	program string
	dir     string
	node    string

	mu    sync.Mutex
	ended []ran
}

// ran is what became of a Pod that ends by itself.
type ran struct {
	pod    *pod
	args   []string
	output string
	code   int
}

// prepare is the Pod's command, ready to start.
func (k *kubelet) prepare(ctx context.Context, p *pod) (*exec.Cmd, error) {
	if len(p.Spec.Containers) != 1 || len(p.Spec.InitContainers) > 0 {
		return nil, fmt.Errorf("pod %s has not just one container", p.Metadata.Name)
	}
	c := &p.Spec.Containers[0]
	dir := filepath.Join(k.dir, "pods", p.Metadata.UID)
	if err := k.mount(ctx, p, dir); err != nil {
		return nil, err
	}
	env, err := k.environment(ctx, p, c, dir)
	if err != nil {
		return nil, err
	}
	args, err := c.command(dir)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, k.program, args...)
	cmd.Env, cmd.Dir = env, k.dir
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	return cmd, nil
}

// serve runs Pods that end by themselves, once they are on the node, until the
// context ends.
func (k *kubelet) serve(ctx context.Context) error {
	seen := make(map[string]bool)
	for {
		var pods struct{ Items []*pod }
		if err := k.api.get(ctx, "/api/v1/pods?fieldSelector=status.phase%3DRunning,spec.nodeName%3D"+k.node, &pods); err != nil {
			return err
		}
		for _, p := range pods.Items {
			if p.Spec.RestartPolicy != "Never" || seen[p.Metadata.UID] {
				continue
			}
			seen[p.Metadata.UID] = true
			if err := k.runToEnd(ctx, p); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// take returns what has ended since it was last called.
func (k *kubelet) take() []ran {
	k.mu.Lock()
	defer k.mu.Unlock()
	ended := k.ended
	k.ended = nil
	return ended
}

// runToEnd runs the Pod's command and reports its end to the API server.
func (k *kubelet) runToEnd(ctx context.Context, p *pod) error {
	cmd, err := k.prepare(ctx, p)
	if err != nil {
		return err
	}
	begun := time.Now()
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	r := ran{pod: p, args: cmd.Args[1:], output: string(text), code: cmd.ProcessState.ExitCode()}
	phase, reason := "Succeeded", "Completed"
	if r.code != 0 {
		phase, reason = "Failed", "Error"
	}
	c := p.Spec.Containers[0]
	k.mu.Lock()
	k.ended = append(k.ended, r)
	k.mu.Unlock()
	return k.api.patch(ctx, p.path()+"/status", map[string]any{"status": map[string]any{
		"phase": phase,
		"containerStatuses": []any{map[string]any{
			"name": c.Name, "image": c.Image, "imageID": "", "restartCount": 0, "ready": false, "started": false,
			"state": map[string]any{"terminated": map[string]any{
				"exitCode": r.code, "reason": reason,
				"startedAt": begun.UTC().Format(time.RFC3339), "finishedAt": time.Now().UTC().Format(time.RFC3339),
			}},
		}},
	}})
}

// daemon is the command of a Pod that goes on until it is told to end.
type daemon struct {
	cmd    *exec.Cmd
	addr   string
	output bytes.Buffer
	grace  time.Duration
	ended  chan struct{}
}

// runDaemon starts the Pod's command. It listens on a port of its own instead
// of the container's.
func (k *kubelet) runDaemon(ctx context.Context, p *pod) (*daemon, error) {
	cmd, err := k.prepare(ctx, p)
	if err != nil {
		return nil, err
	}
	addrs, err := freeAddrs(1)
	if err != nil {
		return nil, err
	}
	d := &daemon{cmd: cmd, addr: addrs[0], grace: time.Duration(p.Spec.TerminationGracePeriodSeconds) * time.Second, ended: make(chan struct{})}
	if !d.listenOn(p.Spec.Containers[0].Ports[0].ContainerPort) {
		return nil, fmt.Errorf("pod %s has no variable that names its port", p.Metadata.Name)
	}
	cmd.Stdout, cmd.Stderr = &d.output, &d.output
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait() // how it ended is in ProcessState
		close(d.ended)
	}()
	return d, nil
}

// isOver reports whether the command has ended.
func (d *daemon) isOver() bool {
	select {
	case <-d.ended:
		return true
	default:
		return false
	}
}

// listenOn puts our address for the container's port, and says whether there was one.
func (d *daemon) listenOn(port int) bool {
	for i, variable := range d.cmd.Env {
		if name, value, _ := strings.Cut(variable, "="); value == fmt.Sprintf(":%d", port) {
			d.cmd.Env[i] = name + "=" + d.addr
			return true
		}
	}
	return false
}

// fetch gets a page.
func (d *daemon) fetch(ctx context.Context, path string) (string, error) {
	select {
	case <-d.ended:
		return "", final{fmt.Errorf("it ended: %s", d.cmd.ProcessState)}
	default:
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.addr+path, http.NoBody)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, res.Status, text)
	}
	return string(text), err
}

// stop ends the command as the kubelet does, and says with which code and after how long.
func (d *daemon) stop() (int, time.Duration, error) {
	begun := time.Now()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return 0, 0, err
	}
	select {
	case <-d.ended:
		return d.cmd.ProcessState.ExitCode(), time.Since(begun), nil
	case <-time.After(d.grace):
		_ = d.cmd.Process.Kill()
		<-d.ended
		return 0, 0, fmt.Errorf("it did not end within the grace period of %s", d.grace)
	}
}
