package cli

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/doctor"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/rescue"
	"github.com/streamkeeper/streamkeeper/web"
)

// diagnosis is what the doctor saw at a glance.
type diagnosis struct {
	at       time.Time
	findings []doctor.Finding
}

// examine takes a glance after a clean-up. What goes wrong with it is logged, and
// the clean-up is done all the same.
func (d *daemon) examine(ctx context.Context) {
	now := d.now.Load()
	if now == nil {
		return
	}
	options := doctorOptions(d.options)
	options.Uses = d.uses()
	r, err := doctor.New(now.buffer, options).Glance(ctx)
	if err != nil {
		if ctx.Err() == nil {
			d.log.Warn("cannot examine the buffer", "class", string(redisconn.ClassOf(err)), "error", err)
		}
		return
	}
	for _, f := range r.Findings {
		for _, severity := range doctor.Severities() {
			n := int64(0)
			if f.Severity == severity {
				n = max(1, f.Count)
			}
			d.observers.Finding(f.Check, string(severity), n)
		}
	}
	d.news.examined(diagnosis{time.Now(), r.Findings})
}

// status are the warnings and errors, for the page.
func (g diagnosis) status() web.Doctor {
	out := web.Doctor{Examined: g.at.UTC()}
	for _, f := range g.findings {
		if f.Severity != doctor.Warning && f.Severity != doctor.Error {
			continue
		}
		finding := web.Finding{Check: f.Check, Severity: string(f.Severity), Text: f.Text, Remedy: f.Remedy, Examples: []string{}}
		for _, e := range f.Examples {
			finding.Examples = append(finding.Examples, strings.TrimSuffix(e.Name+": "+e.Detail, ": "))
		}
		out.Findings = append(out.Findings, finding)
	}
	return out
}

// instance is this daemon and how its jobs fare.
func (w *working) instance(name string) buffer.Instance {
	scheduled := w.scheduler.Status()
	i := buffer.Instance{Name: name, Leads: scheduled.Leader}
	for _, j := range scheduled.Jobs {
		i.Jobs = append(i.Jobs, buffer.JobOfInstance{Name: j.Name, LastSuccess: j.LastSuccess.UTC(), Overdue: j.Overdue})
	}
	return i
}

// instanceName tells processes of ours apart.
func instanceName() string { return fmt.Sprintf("%s/%d", hostname(), os.Getpid()) }

// noteInstance notes again and again that this daemon works with the buffer, so
// that the doctor sees two installations that share a state.
func (d *daemon) noteInstance(ctx context.Context) {
	name := instanceName()
	failing := false
	for {
		pause := time.Second // until Redis was reached
		if now := d.now.Load(); now != nil {
			pause = buffer.InstanceTTL / 3
			err := rescue.Call(func() error { return now.buffer.NoteInstance(ctx, now.instance(name)) })
			if err != nil && ctx.Err() == nil && !failing {
				d.log.Warn("cannot note this instance", "class", string(redisconn.ClassOf(err)), "error", err)
			}
			failing = err != nil
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// forgetInstance takes the note back at the end, so that nobody takes this daemon for
// one that still works.
func (d *daemon) forgetInstance(ctx context.Context, b *buffer.Buffer) {
	if d.o.dryRun {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shareOf(d.options.ShutdownGrace)/2)
	defer cancel()
	if err := rescue.Call(func() error { return b.ForgetInstance(ctx, instanceName()) }); err != nil {
		d.log.Debug("cannot take back the note of this instance", "class", string(redisconn.ClassOf(err)), "error", err)
	}
}
