package jobs

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/doctor"
	"github.com/streamkeeper/streamkeeper/inspect"
	"github.com/streamkeeper/streamkeeper/internal/settings"
	"github.com/streamkeeper/streamkeeper/metrics"
)

// Metrics reads the figures of the streams.
const Metrics = "metrics"

// DefaultMetricsInterval matches the usual interval of scraping.
const DefaultMetricsInterval = 30 * time.Second

// MetricsOptions are those of the job that reads the streams' figures.
type MetricsOptions struct {
	When
	// MaxStreams bounds the streams that get a label of their own.
	MaxStreams int
}

// MetricsSettings say how often the streams' figures are read, and of how many
// streams they are shown.
type MetricsSettings struct {
	Interval settings.Duration `split_words:"true"`
	Streams  settings.Count    `split_words:"true"`
}

func (s *MetricsSettings) table() settings.Table {
	return settings.Table{
		settings.New("METRICS_INTERVAL", &s.Interval, DefaultMetricsInterval, "how often the figures of streams are read",
			settings.AtLeast(&s.Interval, time.Second), settings.AtMost(&s.Interval, 24*time.Hour)),
		settings.New("METRICS_STREAMS", &s.Streams, metrics.DefaultMaxStreams, "at most so many streams get a label of their own",
			settings.AtMost(&s.Streams, 100_000)),
	}
}

func (s *MetricsSettings) options() MetricsOptions {
	return MetricsOptions{
		When:       When{Enabled: true, Schedule: "@every " + s.Interval.Value.String()},
		MaxStreams: int(s.Streams.Value),
	}
}

func metricsJob() Job {
	return Job{Name: Metrics, Background: true, when: func(o Options) When { return o.Metrics.When }, prepare: prepareMetrics}
}

func prepareMetrics(e Env) run {
	reader := metrics.NewReader(e.Buffer, e.Metrics)
	return func(ctx context.Context) (Result, error) {
		result := new(MetricsResult)
		if err := reader.Read(ctx); err != nil {
			return result, err
		}
		var err error
		if result.MemoryUsed, result.MemoryMax, err = e.Buffer.Memory(ctx); err != nil {
			result.MemoryUsed, result.MemoryMax = 0, 0 // a narrow user may not be told
		}
		e.Metrics.RedisMemory(result.MemoryUsed, result.MemoryMax)
		result.Growth = e.Metrics.MemoryGrowth()
		if e.Listener.OnFigures != nil {
			e.Listener.OnFigures(e.Metrics.Snapshot())
		}
		return result, nil
	}
}

// MetricsResult is what Redis said of its memory; the figures of the streams
// are in the metrics.
type MetricsResult struct {
	Head
	// MemoryUsed and MemoryMax are in bytes; 0 if Redis does not say.
	MemoryUsed, MemoryMax int64
	// Growth is that of the memory used.
	Growth metrics.Growth
}

// Sentence implements [Result].
func (*MetricsResult) Sentence(bool) string { return "" }

// Found implements [Result].
func (*MetricsResult) Found() int64 { return 0 }

// Failed implements [Result].
func (*MetricsResult) Failed() int64 { return 0 }

// LogTo implements [Result]. Figures are read so often that they are no news.
func (*MetricsResult) LogTo(*slog.Logger, bool) {}

// Process is what the metrics say of the process itself.
type Process struct {
	Version, Revision string
	DryRun            bool
	// Policies are what streams may keep; nil for those of the options.
	Policies *LivePolicies
	// Once are the jobs that it does one time; none for a daemon.
	Once []Job
}

// NewMetrics makes the metrics of all jobs.
func NewMetrics(o Options, p Process) *metrics.Metrics {
	var names []string
	for _, j := range All() {
		names = append(names, j.Name)
	}
	var severities []string
	for _, s := range doctor.Severities() {
		severities = append(severities, string(s))
	}
	policies := Env{Options: o, Policies: p.Policies}.policies()
	return metrics.New(metrics.Options{
		Version: p.Version, Revision: p.Revision, MaxStreams: o.Metrics.MaxStreams,
		Jobs: names, Reasons: ReasonNames(inspect.AllReasons()), Checks: doctor.Glances(), Severities: severities,
		Periods: p.periods(o),
		DryRun:  p.DryRun, OneShot: len(p.Once) > 0,
		Limits: func(stream string) metrics.Limits {
			policy := policies.Now().For(stream)
			return metrics.Limits{Entries: policy.LengthLimit(), Age: policy.OldestAge(), Bytes: policy.BytesLimit()}
		},
	})
}

// periods are those that are known. Somebody else starts a process that does its
// jobs once: how often is known only if the schedule was set to say so.
func (p Process) periods(o Options) map[string]time.Duration {
	periods := make(map[string]time.Duration)
	for _, j := range All() {
		when := j.when(o)
		once := slices.ContainsFunc(p.Once, func(c Job) bool { return c.Name == j.Name })
		if when.Enabled && len(p.Once) == 0 || once && when.Given {
			periods[j.Name] = longestPeriod(when.Schedule, time.Now())
		}
	}
	return periods
}
