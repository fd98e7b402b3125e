package jobs

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/inspect"
	"github.com/streamkeeper/streamkeeper/internal/human"
	"github.com/streamkeeper/streamkeeper/internal/settings"
	"github.com/streamkeeper/streamkeeper/metrics"
)

// Inspect samples messages and says whether they are valid.
const Inspect = "inspect"

// DefaultInspectSchedule shows a bad producer within minutes.
const DefaultInspectSchedule = "@every 5m"

// InspectOptions are those of the job that inspects.
type InspectOptions struct {
	When
	inspect.Options
}

// InspectSettings say how many messages are looked at, and how.
type InspectSettings struct {
	Enabled  settings.Bool     `split_words:"true"`
	Schedule settings.Schedule `split_words:"true"`
	Samples  settings.Count    `split_words:"true"`
	MaxBytes settings.Size     `split_words:"true"`
	Encoding settings.Encoding `split_words:"true"`
	MaxBurst settings.Size     `split_words:"true"`
}

func (s *InspectSettings) table() settings.Table {
	return settings.Table{
		settings.New("INSPECT_ENABLED", &s.Enabled, true, "whether messages are inspected"),
		settings.New("INSPECT_SCHEDULE", &s.Schedule, DefaultInspectSchedule, "when messages are inspected"),
		settings.New("INSPECT_SAMPLES", &s.Samples, inspect.DefaultSamples, "messages a stream a run", settings.AboveZero(&s.Samples),
			settings.AtMost(&s.Samples, 10_000)),
		settings.New("INSPECT_MAX_BYTES", &s.MaxBytes, inspect.DefaultMaxBytes, "the most that one run reads", settings.AboveZero(&s.MaxBytes),
			settings.AtMost(&s.MaxBytes, 1<<40)),
		settings.New("INSPECT_ENCODING", &s.Encoding, burst.Auto, "pins how the LZ4 bytes are framed"),
		settings.New("INSPECT_MAX_BURST", &s.MaxBurst, burst.DefaultMaxBurst, "uncompressed size past which a message is invalid",
			settings.AboveZero(&s.MaxBurst), settings.AtMost(&s.MaxBurst, 1<<30)),
	}
}

func (s *InspectSettings) options() InspectOptions {
	return InspectOptions{
		When: whenOf(&s.Enabled, &s.Schedule),
		Options: inspect.Options{
			Samples: int(s.Samples.Value), MaxBytes: s.MaxBytes.Value, MaxBurst: int(s.MaxBurst.Value), Encoding: s.Encoding.Value,
		},
	}
}

func inspectJob() Job {
	return Job{
		Name: Inspect, byStream: true, when: func(o Options) When { return o.Inspect.When },
		use: func(u *buffer.Uses, done bool) { u.Inspect = done }, prepare: prepareInspect,
	}
}

func prepareInspect(e Env) run {
	o := e.Options.Inspect.Options
	o.Log = e.log(Inspect)
	o.OnMessage = func(m inspect.Message) {
		e.Metrics.Inspected(metrics.Message{
			Stream: m.Stream, Verdict: m.Verdict, Reasons: ReasonNames(m.Reasons),
			Encoding: m.Encoding.String(), Size: m.Size, Compressed: m.CompressedBytes,
		})
		if e.Listener.OnInspected != nil {
			e.Listener.OnInspected(m)
		}
	}
	o.OnMalformed = e.Metrics.Malformed
	o.OnProgress = func(p inspect.Progress) { e.progress(Inspect, InspectProgress(p)) }
	inspector := inspect.New(e.unpaused(e.Metrics.InspectPassedOver), o)
	return func(ctx context.Context) (Result, error) {
		e.Metrics.InspectStarted()
		r, err := inspector.Run(ctx, func(inspect.Message) {})
		e.Metrics.InspectEnded(err == nil)
		return &InspectResult{Messages: r.Messages, Valid: r.OK, Warn: r.Warn, Invalid: r.Invalid, Bytes: r.Bytes, errors: r.Errors}, err
	}
}

// InspectProgress says how far an inspection is.
func InspectProgress(p inspect.Progress) string {
	return fmt.Sprintf("%s, %s", plural(p.Streams, "stream"), plural(p.Messages, "message"))
}

// ReasonNames are reasons as metrics and the demo show them.
func ReasonNames(reasons []inspect.Reason) []string {
	names := make([]string, len(reasons))
	for i, r := range reasons {
		names[i] = string(r)
	}
	return names
}

// InspectResult is what inspection found.
type InspectResult struct {
	Head
	Messages int64 `json:"messages"`
	Valid    int64 `json:"ok_messages"`
	Warn     int64 `json:"warn"`
	Invalid  int64 `json:"invalid"`
	Bytes    int64 `json:"bytes"`

	// errors are the streams that could not be read.
	errors int64
}

// Sentence implements [Result].
func (r *InspectResult) Sentence(bool) string {
	return fmt.Sprintf("%s looked at: %s ok, %s with warnings, %s invalid", plural(r.Messages, "message"),
		human.Count(r.Valid), human.Count(r.Warn), human.Count(r.Invalid))
}

// Found implements [Result].
func (r *InspectResult) Found() int64 { return r.Messages }

// Failed implements [Result].
func (r *InspectResult) Failed() int64 { return r.errors }

// LogTo implements [Result].
func (r *InspectResult) LogTo(log *slog.Logger, _ bool) {
	figures := []any{
		"messages", r.Messages, "ok", r.Valid, "warn", r.Warn, "invalid", r.Invalid, "bytes", r.Bytes, "errors", r.errors, "duration", r.took(),
	}
	if !r.logIncomplete(log, figures) {
		log.Info("inspected", figures...)
	}
}
