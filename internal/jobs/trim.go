package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/human"
	"github.com/streamkeeper/streamkeeper/schedule"
	"github.com/streamkeeper/streamkeeper/trim"
)

// Trim removes the oldest entries of streams.
const Trim = "trim"

// DefaultTrimSchedule is how often the Stream Service's own trimmer runs.
const DefaultTrimSchedule = "@every 30s"

// TrimOptions are those of the job that trims.
type TrimOptions struct {
	When
	trim.Options
}

func trimJob() Job {
	return Job{Name: Trim, when: func(o Options) When { return o.Trim.When }, prepare: prepareTrim}
}

func prepareTrim(e Env) run {
	o := e.Options.Trim.Options
	o.Log = e.log(Trim)
	// A run ends after one period of its schedule, and says what is left.
	o.Budget = period(e.Options.Trim.Schedule)
	o.OnRemoved = func(stream string, reason trim.Reason, entries int64) {
		e.Metrics.TrimRemoved(stream, reason, entries)
		if e.Listener.OnTrimmed != nil {
			e.Listener.OnTrimmed(stream, entries)
		}
	}
	o.OnCall = e.Metrics.TrimCall
	o.OnMalformed = e.Metrics.Malformed
	var started time.Time
	o.OnProgress = func(p trim.Progress) { e.progress(Trim, TrimProgress(p, time.Since(started))) }
	trimmer := trim.New(e.Buffer, o)
	return func(ctx context.Context) (Result, error) {
		started = time.Now()
		e.Metrics.TrimStarted()
		once := trimmer.Run
		if e.DryRun {
			once = func(ctx context.Context) (trim.Report, error) { return trimmer.Plan(ctx, func(trim.Action) {}) }
		}
		r, err := once(ctx)
		return &TrimResult{
			Streams: r.Streams, StreamsTrimmed: r.StreamsTrimmed, EntriesRemoved: r.EntriesRemoved,
			Errors: r.Errors, Backlog: r.Backlog, Pressure: r.Pressure, backlogs: int64(r.Left),
		}, err
	}
}

// period is the time between two runs of a schedule that is known to be right.
func period(spec string) time.Duration {
	s, err := schedule.ParseSchedule(spec)
	if err != nil {
		return 0
	}
	first := s.Next(time.Now().UTC())
	return s.Next(first).Sub(first)
}

// TrimProgress says how far a trim is that began so long ago.
func TrimProgress(p trim.Progress, took time.Duration) string {
	rate := int64(float64(p.Entries) / max(took.Seconds(), 0.001))
	text := fmt.Sprintf("%s, %s removed, %s/s", plural(p.Streams, "stream"), plural(p.Entries, "entry"), human.Count(rate))
	if p.Waiting > 0 {
		text += fmt.Sprintf(", %s with a backlog", human.Count(p.Waiting))
	}
	return text
}

// TrimResult is what trimming did.
type TrimResult struct {
	Head
	Streams        int64 `json:"streams"`
	StreamsTrimmed int64 `json:"streams_trimmed"`
	EntriesRemoved int64 `json:"entries_removed"`
	Errors         int64 `json:"errors"`
	// Backlog is how many entries over their limits are left to a later run; an
	// estimate where an age limits them.
	Backlog int64 `json:"backlog"`
	// Pressure says that streams keep less for want of memory; empty if not.
	Pressure string `json:"pressure"`

	// backlogs are the streams that are left to the next run.
	backlogs int64
}

// Sentence implements [Result].
func (r *TrimResult) Sentence(dryRun bool) string {
	verb := "trimmed"
	if dryRun {
		verb = "to trim"
	}
	text := fmt.Sprintf("%s of %s %s, %s", human.Count(r.StreamsTrimmed), plural(r.Streams, "stream"), verb, plural(r.EntriesRemoved, "entry"))
	if r.backlogs > 0 {
		text += fmt.Sprintf(", %s with a backlog", human.Count(r.backlogs))
	}
	return text + failures(r.Errors)
}

// Remark implements [Result].
func (r *TrimResult) Remark() string { return r.Pressure }

// Failed implements [Result].
func (r *TrimResult) Failed() int64 { return r.Errors }

// LogTo implements [Result].
func (r *TrimResult) LogTo(log *slog.Logger) {
	log.Info("trimmed", "streams", r.Streams, "streams_trimmed", r.StreamsTrimmed, "entries_removed", r.EntriesRemoved,
		"errors", r.Errors, "backlogs", r.backlogs, "backlog", r.Backlog, "duration", r.took())
}
