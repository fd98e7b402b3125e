package cli

import (
	"context"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/inspect"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/metrics"
	"github.com/streamkeeper/streamkeeper/trim"
)

// audience hears of what the jobs do; nil for what it does not care about.
type audience struct {
	onTrimmed   func(stream string, entries int64)
	onCleanedUp func(cleanup.Action)
	onInspected func(inspect.Message)
}

// meters lets the metrics, and an audience besides, hear of what the jobs do.
type meters struct {
	*metrics.Metrics
	audience audience
}

// newMeters makes the metrics that a configuration asks for.
func (a *app) newMeters(o jobs.Options, also audience) meters {
	return meters{audience: also, Metrics: metrics.New(metrics.Options{
		Version: a.Version, Revision: a.revision(), MaxStreams: o.Metrics.MaxStreams,
		Jobs: append([]string{jobs.Metrics}, allJobs...), Reasons: reasonNames(inspect.AllReasons()),
		Limit: func(stream string) int64 { return o.Trim.Policies.For(stream).MaxLength },
	})}
}

func (m meters) onTrim(o *trim.Options) {
	o.OnRemoved = func(stream string, reason trim.Reason, entries int64) {
		m.TrimRemoved(stream, reason, entries)
		if m.audience.onTrimmed != nil {
			m.audience.onTrimmed(stream, entries)
		}
	}
	o.OnCall = m.TrimCall
	o.OnMalformed = m.Malformed
}

func (m meters) onCleanup(o *cleanup.Options) {
	o.OnAction = func(a cleanup.Action) {
		m.CleanedUp(a)
		if m.audience.onCleanedUp != nil {
			m.audience.onCleanedUp(a)
		}
	}
	o.OnMalformed = m.Malformed
	o.OnStillFlowing = m.StillFlowing
}

func (m meters) onInspect(o *inspect.Options) {
	o.OnMessage = func(msg inspect.Message) {
		m.inspected(msg)
		if m.audience.onInspected != nil {
			m.audience.onInspected(msg)
		}
	}
	o.OnMalformed = m.Malformed
}

func (m meters) inspected(msg inspect.Message) {
	m.Inspected(metrics.Message{
		Stream: msg.Stream, Verdict: msg.Verdict, Reasons: reasonNames(msg.Reasons),
		Encoding: msg.Encoding.String(), Size: msg.Size, Compressed: msg.CompressedBytes,
	})
}

func reasonNames(reasons []inspect.Reason) []string {
	names := make([]string, len(reasons))
	for i, r := range reasons {
		names[i] = string(r)
	}
	return names
}

// ran notes a run that ended. That the clocks disagree is found out by us, not
// said by Redis, so it is counted here.
func (m meters) ran(job, result string, took time.Duration, err error) {
	m.JobRun(job, result, took)
	if class := buffer.ClassOf(err); class == buffer.ClassClock {
		m.RedisError(class)
	}
}

// leads notes whether this replica leads. What was read of Redis goes with the
// lease, like everything that only the leader reads.
func (m meters) leads(yes bool) {
	m.Leader(yes)
	if !yes {
		m.RedisMemory(0, 0)
	}
}

// cleaned notes what a clean-up counted.
func (m meters) cleaned(r cleanup.Report, dryRun bool, err error) {
	m.Brake(jobs.Cleanup, r.Brake != "")
	if err != nil {
		return
	}
	stale := r.SessionsStale
	if !dryRun {
		stale -= r.SessionsExpired
	}
	m.Sessions(cleanup.Live, r.SessionsLive)
	m.Sessions(cleanup.Stale, stale)
	m.Sessions(cleanup.Malformed, r.SessionsMalformed)
}

// ping asks Redis for a sign of life.
func (m meters) ping(ctx context.Context, b *buffer.Buffer) {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	m.RedisUp(b.Ping(ctx) == nil)
}

const pingTimeout = time.Second

// figures reads the figures of the streams, and how full Redis is if it says so;
// both are 0 if not.
func (m meters) figures(ctx context.Context, r *metrics.Reader, b *buffer.Buffer) (used, limit int64, err error) {
	if err := r.Read(ctx); err != nil {
		return 0, 0, err
	}
	if used, limit, err = b.Memory(ctx); err != nil {
		used, limit = 0, 0 // a narrow user may not be told
	}
	m.RedisMemory(used, limit)
	return used, limit, nil
}
