package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// works judges the release in one mode: the other mode's objects are gone, and
// what is there does its work.
func (t *trial) works(ctx context.Context, mode string, scheduled bool) error {
	if err := t.only(ctx, mode); err != nil {
		return err
	}
	if err := t.buffer.fill(ctx, t.set.stream); err != nil {
		return err
	}
	run := t.cronjobWorks
	if mode == "daemon" {
		run = func(ctx context.Context, _ bool) error { return t.daemonWorks(ctx) }
	}
	return errors.Join(run(ctx, scheduled), t.show(ctx))
}

func (t *trial) show(ctx context.Context) error {
	return errors.Join(
		t.shell.run(ctx, "kubectl", "get", "deployment,poddisruptionbudget,cronjob,job,pod,service,networkpolicy", "--namespace", t.set.name, "--show-kind"),
		t.shell.run(ctx, "kubectl", "get", "events", "--namespace", t.set.name, "--field-selector=type=Warning"))
}

// only waits until nothing of the other mode is left.
func (t *trial) only(ctx context.Context, mode string) error {
	others := map[string]string{"daemon": "cronjob,job", "cronjob": "deployment,replicaset,service,poddisruptionbudget,servicemonitor,podmonitor"}[mode]
	return until(ctx, time.Minute, "waiting for the other mode to go", func() error {
		text, err := t.output(ctx, nil, "kubectl", "get", others, "--namespace", t.set.name, "--output=name")
		if err == nil && len(bytes.TrimSpace(text)) > 0 {
			err = fmt.Errorf("there is still %s", bytes.Fields(text))
		}
		return err
	})
}

// trimmed waits until the stream is within its limit.
func (t *trial) trimmed(ctx context.Context, limit time.Duration) error {
	return until(ctx, limit, "waiting for the stream to be trimmed", func() error {
		length, err := t.buffer.client.XLen(ctx, t.set.stream).Result()
		if err == nil && length > t.set.limit {
			err = fmt.Errorf("%s has %d entries, and may have %d", t.set.stream, length, t.set.limit)
		}
		if err == nil {
			t.say("%s had %d entries at least and has %d", t.set.stream, entries, length)
		}
		return err
	})
}

// cronjobWorks has each CronJob make a Job, on its schedule or by hand, whose Pod
// is run to its end.
func (t *trial) cronjobWorks(ctx context.Context, scheduled bool) error {
	if scheduled && t.set.scheduled {
		t.say("waiting for the schedule")
	} else if err := t.createJobs(ctx); err != nil {
		return err
	}
	for _, condition := range []string{"create", "condition=Complete"} {
		if err := t.kubectl(ctx, "wait", "job", "--namespace", t.set.name, "--selector", instance, "--for="+condition, "--timeout=90s"); err != nil {
			return errors.Join(err, t.report())
		}
	}
	return errors.Join(t.report(), t.pushed(), t.trimmed(ctx, 0))
}

// pushed says which groups of metrics came to the Pushgateway, where there is one.
func (t *trial) pushed() error {
	if t.buffer.gateway == nil {
		return nil
	}
	groups, err := t.buffer.gateway.take()
	if err == nil {
		t.say("pushed %s", strings.Join(groups, " "))
	}
	return err
}

func (t *trial) createJobs(ctx context.Context) error {
	names, err := t.output(ctx, nil, "kubectl", "get", "cronjob", "--namespace", t.set.name, "--selector", instance, "--output=name")
	if err != nil {
		return err
	}
	for i, name := range strings.Fields(string(names)) {
		if err := t.shell.run(ctx, "kubectl", "create", "job", fmt.Sprintf("now-%d", i+1), "--namespace", t.set.name, "--from="+name); err != nil {
			return err
		}
	}
	return nil
}

// report tells of the Pods that have ended.
func (t *trial) report() error {
	var failed error
	ended := t.kubelet.take()
	for _, r := range ended {
		t.say("Pod %s ran: streamkeeper %s", r.pod.Metadata.Name, strings.Join(r.args, " "))
		t.quote(r.output)
		t.say("exit code %d", r.code)
		if r.code != 0 {
			failed = errors.Join(failed, fmt.Errorf("pod %s ended with code %d", r.pod.Metadata.Name, r.code))
		}
	}
	if len(ended) == 0 {
		failed = errors.New("no Pod ran to its end")
	}
	return failed
}

// replica is a Pod of the Deployment, and its command.
type replica struct {
	*daemon
	pod *pod
}

// daemonWorks runs the commands of all the Deployment's Pods at once, until they
// have trimmed, and ends them.
func (t *trial) daemonWorks(ctx context.Context) error {
	if err := t.kubectl(ctx, "wait", "deployment", "--namespace", t.set.name, "--selector", instance, "--for=condition=Available", "--timeout=60s"); err != nil {
		return err
	}
	var pods struct{ Items []*pod }
	if err := t.get(ctx, "/api/v1/namespaces/"+t.set.name+"/pods?fieldSelector=status.phase%3DRunning&labelSelector="+strings.ReplaceAll(instance, "=", "%3D"), &pods); err != nil {
		return err
	}
	var replicas []replica
	var failed error
	for _, p := range pods.Items {
		d, err := t.kubelet.runDaemon(ctx, p)
		if err != nil {
			failed = err
			break
		}
		t.say("Pod %s runs: streamkeeper %s", p.Metadata.Name, strings.Join(d.cmd.Args[1:], " "))
		replicas = append(replicas, replica{d, p})
	}
	if len(replicas) == 0 {
		return errors.Join(failed, errors.New("no Pod of the Deployment runs"))
	}
	if failed == nil {
		failed = t.together(ctx, replicas)
	}
	for _, r := range replicas {
		if r.isOver() {
			continue
		}
		failed = errors.Join(failed, t.end(r.daemon))
	}
	if failed != nil {
		for _, r := range replicas {
			t.quote(r.output.String())
		}
	}
	return failed
}

// together judges replicas that run at once: all answer their probes, again and
// again, one leads, and another does when that one ends.
func (t *trial) together(ctx context.Context, replicas []replica) error {
	for _, r := range replicas {
		if err := t.answers(ctx, r.daemon, &r.pod.Spec.Containers[0]); err != nil {
			return err
		}
	}
	if err := t.trimmed(ctx, time.Minute); err != nil {
		return err
	}
	if err := t.probeAgain(ctx, replicas); err != nil {
		return err
	}
	leader, err := t.leaderOf(ctx, replicas)
	if err != nil || leader == nil {
		return err
	}
	t.say("Pod %s leads, of %d that run", leader.pod.Metadata.Name, len(replicas))
	if len(replicas) == 1 {
		return nil
	}
	if err := t.end(leader.daemon); err != nil {
		return err
	}
	left := slices.DeleteFunc(slices.Clone(replicas), func(r replica) bool { return r.daemon == leader.daemon })
	next, err := t.leaderOf(ctx, left)
	if err == nil {
		t.say("Pod %s leads now", next.pod.Metadata.Name)
	}
	return err
}

// Probes are asked so often once they have succeeded, and may not fail again.
const (
	probesAgain = 20
	probePeriod = 500 * time.Millisecond
)

func (t *trial) probeAgain(ctx context.Context, replicas []replica) error {
	for range probesAgain {
		for _, r := range replicas {
			c := &r.pod.Spec.Containers[0]
			for _, p := range []*probe{c.LivenessProbe, c.ReadinessProbe} {
				if p == nil {
					continue
				}
				if _, err := r.fetch(ctx, p.HTTPGet.Path); err != nil {
					return fmt.Errorf("pod %s was well, and its probe then fails: %w", r.pod.Metadata.Name, err)
				}
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(probePeriod):
		}
	}
	t.say("%d replicas answered their probes %d times", len(replicas), probesAgain)
	return nil
}

// leaderOf waits until one of the replicas leads, and no other; nil where they
// have no lease, and all lead.
func (t *trial) leaderOf(ctx context.Context, replicas []replica) (leader *replica, err error) {
	if slices.Contains(replicas[0].cmd.Env, "STREAMKEEPER_LEASE_ENABLED=false") {
		return nil, nil
	}
	err = until(ctx, time.Minute, "waiting for a leader", func() error {
		leaders := 0
		for i, r := range replicas {
			page, err := r.fetch(ctx, "/metrics")
			if err != nil {
				return err
			}
			if strings.Contains(page, "\nstreamkeeper_leader 1\n") {
				leader = &replicas[i]
				leaders++
			}
		}
		if leaders != 1 {
			return fmt.Errorf("%d replicas lead", leaders)
		}
		return nil
	})
	return leader, err
}

// end ends the daemon as the kubelet does.
func (t *trial) end(d *daemon) error {
	code, after, err := d.stop()
	if err != nil {
		return err
	}
	t.say("SIGTERM: exit code %d after %.1fs", code, after.Seconds())
	if code != 0 {
		return fmt.Errorf("it ended with code %d", code)
	}
	return nil
}

// answers waits until the container's probes succeed and Redis is up.
func (t *trial) answers(ctx context.Context, d *daemon, c *container) error {
	for _, probe := range []*probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
		if probe == nil {
			continue
		}
		path := probe.HTTPGet.Path
		if err := until(ctx, 30*time.Second, "probing "+path, func() error { _, err := d.fetch(ctx, path); return err }); err != nil {
			return err
		}
		t.say("GET %s: 200", path)
	}
	return until(ctx, 30*time.Second, "reading the metrics", func() error {
		text, err := d.fetch(ctx, "/metrics")
		if err == nil && !strings.Contains(text, "\nstreamkeeper_redis_up 1\n") {
			err = errors.New("streamkeeper_redis_up is not 1")
		}
		if err == nil {
			t.say("GET /metrics: 200, streamkeeper_redis_up 1")
		}
		return err
	})
}
