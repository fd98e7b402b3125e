package cli

import (
	"context"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/metrics"
	"github.com/streamkeeper/streamkeeper/report"
	"github.com/streamkeeper/streamkeeper/schedule"
	"github.com/streamkeeper/streamkeeper/web"
)

// status is what the page shows; it asks Redis for a sign of life. All that it says from
// memory is of the moment after that: a leader that lost its lease while Redis did not
// answer shows nothing of what it knew.
func (d *daemon) status(ctx context.Context) web.Status {
	working := d.now.Load()
	var asked askedOfRedis
	if working != nil {
		asked = d.askRedis(ctx, working)
	}
	s := web.Status{
		Frame: d.frame(), Revision: d.app.Revision, Started: d.started.UTC(),
		Redis: web.Redis{Address: d.address},
	}
	s.Pauses, s.PausesUnknown = d.pausesStatus()
	s.PoliciesError = d.policiesError()
	if working == nil {
		s.Redis.Error = d.whyNot()
		s.Leader, s.Jobs = d.beforeWork()
		return s
	}
	known := d.news.known()
	scheduled := working.scheduler.Status()
	if !scheduled.Leader {
		known = knowledge{} // its term may have ended between the two
	}
	s.Stopping = scheduled.Stopping
	s.Leader = leader(scheduled, asked.holder)
	s.Redis, s.Removals = asked.redis, asked.removals
	s.Redis.Denied, s.Redis.Absence = d.rightsDenied(), known.absence
	s.Streams, s.Errors, s.Doctor = streamsStatus(known.streams), known.errors, known.diagnosis.status()
	for _, j := range scheduled.Jobs {
		last := known.last[j.Name]
		job := jobStatus(j, d.summary(last.result))
		switch {
		case last.result == nil:
		case last.result.Outcome().Paused != "" && j.Result == schedule.Skipped:
			job.Result = "paused"
		case last.result.Stopped() != "" && j.Result == schedule.OK:
			job.Result = "held back"
		}
		s.Jobs = append(s.Jobs, job)
		switch good := last.good.(type) {
		case *jobs.MetricsResult:
			s.Redis.Memory = memoryStatus(good)
		case *jobs.CleanupResult:
			s.Sessions, s.NextCleanup = d.cleanupStatus(good, last.goodAt.UTC())
		}
	}
	return s
}

// beforeWork is how this replica stands to the lease, and its jobs, before Redis was
// reached.
func (d *daemon) beforeWork() (web.Leader, []web.Job) {
	lease := schedule.LeaseNone
	if d.standsForElection() {
		lease = schedule.LeaseStandby
	}
	var all []web.Job
	for _, job := range jobs.All() {
		if when := job.When(d.options.Jobs); when.Enabled {
			all = append(all, web.Job{Name: job.Name, Schedule: when.Schedule})
		}
	}
	return web.Leader{Lease: string(lease)}, all
}

// askedOfRedis is what a page asks Redis for.
type askedOfRedis struct {
	redis web.Redis
	// holder is who holds the lease, where it is not this replica; empty if not known.
	holder   string
	removals web.Removals
}

// askRedis takes [pingTimeout] at most: where Redis hangs, the page says so.
func (d *daemon) askRedis(ctx context.Context, w *working) (a askedOfRedis) {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	a.redis = redisStatus(ctx, d.address, w.buffer)
	a.holder = holder(ctx, w)
	if d.options.HistoryLength > 0 {
		a.removals = d.removalsStatus(ctx, w)
	}
	return a
}

// frame is what every page says.
func (d *daemon) frame() web.Frame {
	return web.Frame{Version: d.app.Version, Instance: hostname(), Time: time.Now().UTC(), DryRun: d.o.dryRun}
}

// holder is who holds the lease; empty if that is this replica or is not known. It takes
// [pingTimeout] at most.
func holder(ctx context.Context, w *working) string {
	if w.scheduler.Status().Leader {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	name, err := w.buffer.Lease().Holder(ctx)
	if err != nil {
		return ""
	}
	return buffer.Escape(name)
}

// leader is how this replica stands to the lease, and who leads.
func leader(scheduled schedule.Status, holder string) web.Leader {
	l := web.Leader{Leading: scheduled.Leader, Lease: string(scheduled.Lease), Name: holder}
	if scheduled.LeaseError != nil {
		l.Error = scheduled.LeaseError.Error()
	}
	if l.Leading {
		l.Name = instanceName()
	}
	return l
}

// removalsOnPage is how many of the last removals the page shows.
const removalsOnPage = 10

// removalsStatus are the last removals, whoever did them.
func (d *daemon) removalsStatus(ctx context.Context, w *working) web.Removals {
	all, trouble := d.removals.newest(ctx, w.buffer)
	out := web.Removals{Recorded: true, Error: trouble}
	for _, r := range all[:min(len(all), removalsOnPage)] {
		one := report.NewRemoval(r)
		out.Last = append(out.Last, web.Removal{
			Time: one.Time, Action: one.Action, Name: one.Name, Reason: one.Reason, Instance: one.Instance, Missing: one.Missing,
			Stream: r.Action != string(cleanup.Expire) && r.Action != buffer.Gap && !strings.HasPrefix(r.Reason, cleanup.PutBackReason),
		})
	}
	return out
}

// memoryStatus is what the last reading said of Redis's memory.
func memoryStatus(r *jobs.MetricsResult) web.Memory {
	m := web.Memory{Read: true, Used: r.MemoryUsed, Max: r.MemoryMax, GrowthSeconds: r.Growth.Over.Seconds(), Growth: r.Growth.PerSecond}
	if full, ever := r.Growth.Reaches(r.MemoryMax); ever {
		m.Full = new(full.Seconds())
	}
	return m
}

// whyNot is why Redis was not reached yet.
func (d *daemon) whyNot() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.trouble == nil {
		return "not asked yet"
	}
	return d.trouble.Error()
}

// redisStatus asks Redis for a sign of life, and whether it is still the one to
// work on.
func redisStatus(ctx context.Context, address string, b *buffer.Buffer) web.Redis {
	server := b.Server()
	r := web.Redis{Address: address, Version: server.Version, Mode: server.Mode}
	if err := b.Ping(ctx); err != nil {
		r.Error = err.Error()
	} else if err := b.Refusal(ctx); err != nil {
		r.Refused = err.Error()
	}
	return r
}

// summary says in words what a run did; nothing if there was none.
func (d *daemon) summary(r jobs.Result) string {
	if r == nil {
		return ""
	}
	text := r.Sentence(d.o.dryRun)
	if remark := r.Remark(); remark != "" {
		text += "; " + remark
	}
	return text
}

func jobStatus(j schedule.JobStatus, summary string) web.Job {
	out := web.Job{
		Name: j.Name, Schedule: j.Schedule, Running: j.Running, Result: string(j.Result), LastStart: j.LastStart,
		Seconds: j.LastDuration.Seconds(), LastSuccess: j.LastSuccess, LastFailure: j.LastFailure,
		Summary: summary, NextRun: j.NextRun, Overdue: j.Overdue, Hangs: j.Hangs,
	}
	if j.LastError != nil {
		out.Error = j.LastError.Error()
	}
	return out
}

// cleanupStatus is what the last clean-up counted, and what is left to do.
func (d *daemon) cleanupStatus(r *jobs.CleanupResult, at time.Time) (web.Sessions, web.NextCleanup) {
	sessions := web.Sessions{Read: at, Live: r.Live, Stale: r.Stale, Malformed: r.SessionsMalformed, Flowing: r.SessionsFlowing}
	next := web.NextCleanup{Decided: at, Brake: r.Brake, BrakeSince: r.BrakeSince, BrakeUntil: r.BrakeUntil, Lost: r.Lost}
	if d.o.dryRun {
		next.Expire, next.Abandon, next.Retire = r.SessionsExpired, r.SessionsAbandoned, r.StreamsRetired
		next.Restore, next.Drop = r.StreamsRestored, r.NamesDropped
	} else {
		next.Expire = r.Stale
	}
	if r.Held != nil {
		next.Retire, next.Drop = r.Held.Retire, r.Held.Drop
	}
	for _, a := range r.Examples {
		next.Examples = append(next.Examples, actionStatus(a))
	}
	return sessions, next
}

func actionStatus(a cleanup.Action) web.Action {
	return web.Action{Action: string(a.Kind), Session: buffer.Escape(a.Session), Stream: buffer.Escape(a.Stream), Reason: a.Reason}
}

func streamsStatus(snapshot metrics.Snapshot) web.Streams {
	out := web.Streams{
		Read: snapshot.Read, Total: snapshot.Streams, Others: snapshot.OtherStreams, OtherEntries: snapshot.OtherEntries, OtherBytes: snapshot.OtherBytes,
	}
	out.Named = func(visit func(name string, entries, bytes int64)) {
		for _, o := range snapshot.Others {
			visit(o.Label, o.Entries, o.Bytes)
		}
	}
	for _, f := range snapshot.Chosen {
		out.Largest = append(out.Largest, streamStatus(f))
	}
	return out
}

func streamStatus(f metrics.StreamFigures) web.Stream {
	stream := web.Stream{
		Name: f.Label, Entries: f.Entries, Limit: f.Limit, Bytes: f.Bytes, LimitBytes: f.LimitBytes, Estimated: f.Estimated, Protected: f.Protected, Trimmed: f.Trimmed, Removed: f.Removed,
		Inspected: f.Inspected, Encoding: f.Encoding, OK: f.OK, Warn: f.Warn, Invalid: f.Invalid,
	}
	if len(f.History.Entries) > 0 {
		stream.History = &web.History{Entries: f.History.Entries, Removed: f.History.Removed}
	}
	if f.Timed {
		stream.Coverage, stream.Idle = new(f.Coverage.Seconds()), new(f.Idle.Seconds())
	}
	return stream
}
