package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// namespace begins every name.
const namespace = "streamkeeper"

// factory makes and registers series that are there before anything happened.
type factory struct {
	auto   promauto.Factory
	owner  string
	owners map[string]string
}

func newFactory(r prometheus.Registerer, owners map[string]string) factory {
	return factory{auto: promauto.With(r), owners: owners}
}

// Whose a family is: the job whose runs alone say something in it. One of
// nobody's is of the process as a whole.
const (
	ownerTrim    = "trim"
	ownerCleanup = "cleanup"
	ownerInspect = "inspect"
	// ownerFigures is the job that reads the figures of the streams.
	ownerFigures = "metrics"
	// ownerLabel means that each series is of the job in its label job.
	ownerLabel = "by label"
)

// of makes series of somebody's.
func (f factory) of(owner string) factory {
	f.owner = owner
	return f
}

// noted is the name of a family, whose owner it notes.
func (f factory) noted(name string) string {
	if f.owner != "" {
		f.owners[prometheus.BuildFQName(namespace, "", name)] = f.owner
	}
	return name
}

func (f factory) gauge(name, help string) prometheus.Gauge {
	return f.auto.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: f.noted(name), Help: help})
}

func (f factory) gauges(name, help, label string, values []string) *prometheus.GaugeVec {
	vec := f.auto.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: f.noted(name), Help: help}, []string{label})
	for _, value := range values {
		vec.WithLabelValues(value)
	}
	return vec
}

func (f factory) counter(name, help string) prometheus.Counter {
	return f.auto.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: f.noted(name), Help: help})
}

func (f factory) counters(name, help, label string, values []string) *prometheus.CounterVec {
	vec := f.auto.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: f.noted(name), Help: help}, []string{label})
	for _, value := range values {
		vec.WithLabelValues(value)
	}
	return vec
}

func (f factory) histogram(name, help string, buckets []float64) prometheus.Histogram {
	return f.auto.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: f.noted(name), Help: help, Buckets: buckets})
}

func (f factory) build(version, revision, goVersion string) {
	f.auto.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Always 1; the labels say what is running.",
	}, []string{"version", "revision", "goversion"}).
		WithLabelValues(buffer.Escape(version), buffer.Escape(revision), goVersion).Set(1)
}

type redisSeries struct {
	up, memoryUsed, memoryMax prometheus.Gauge
	errors                    *prometheus.CounterVec
}

func newRedisSeries(f factory) redisSeries {
	return redisSeries{
		up:         f.gauge("redis_up", "1 while Redis answers."),
		memoryUsed: f.of(ownerFigures).gauge("redis_memory_used_bytes", "What Redis's data take; 0 if not known."),
		memoryMax:  f.of(ownerFigures).gauge("redis_memory_max_bytes", "Redis's maxmemory; 0 for no limit, or if not known."),
		errors: f.counters("redis_errors_total", "Errors of Redis and of the way to it.",
			"class", texts(redisconn.Classes)),
	}
}

func (s redisSeries) memory(used, limit int64) {
	s.memoryUsed.Set(float64(used))
	s.memoryMax.Set(float64(limit))
}

type jobSeries struct {
	jobs     []string
	runs     *prometheus.CounterVec
	duration *prometheus.HistogramVec
	success  *prometheus.GaugeVec
	period   *prometheus.GaugeVec
	paused   *prometheus.GaugeVec
	// These are of the last run while this replica leads.
	lastRun, lastOK, clocks *prometheus.GaugeVec
}

// jobBuckets reach from a pass that finds nothing to do, a tenth of a second for
// 100 000 streams, to a scan of a large keyspace or a backlog of hours, which
// take minutes.
var jobBuckets = []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800}

func newJobSeries(f factory, jobs []string) jobSeries {
	s := jobSeries{
		jobs: jobs,
		runs: f.auto.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: f.noted("job_runs_total"), Help: "Runs of each job, by how they ended.",
		}, []string{"job", "result"}),
		duration: f.auto.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: f.noted("job_duration_seconds"), Help: "How long a run took, skipped ones aside.", Buckets: jobBuckets,
		}, []string{"job"}),
		success: f.gauges("job_last_success_timestamp_seconds", "When a run last went well here; 0 for never.", "job", jobs),
		period: f.gauges("job_period_seconds",
			"Time between two runs, the longest where it varies; 0 where the job is off, or where nobody knows.", "job", jobs),
		paused:  f.gauges("paused", "1 where anything of the job is paused.", "job", jobs),
		lastRun: f.gauges("job_last_run_timestamp_seconds", "When the last run ended; 0 for never, and on a follower.", "job", jobs),
		lastOK:  f.gauges("job_last_run_ok", "1 where the last run went well; 0 on a follower.", "job", jobs),
		clocks: f.gauges("clocks_disagree",
			"1 where the last run failed because the clocks of Redis and of this machine disagree.", "job", jobs),
	}
	for _, job := range jobs {
		s.duration.WithLabelValues(job)
		for _, result := range []string{ResultOK, ResultError, ResultSkipped} {
			s.runs.WithLabelValues(job, result)
		}
	}
	return s
}

// forget sets to nothing what only a leader knows.
func (s jobSeries) forget() {
	for _, job := range s.jobs {
		for _, gauge := range []*prometheus.GaugeVec{s.lastRun, s.lastOK, s.clocks} {
			gauge.WithLabelValues(job).Set(0)
		}
	}
}

type trimSeries struct {
	call prometheus.Histogram
}

// callBuckets are close together around a millisecond, the longest that a call
// may block Redis; the network's share of the round trip is what lies above.
var callBuckets = []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1}

func newTrimSeries(f factory) trimSeries {
	return trimSeries{
		call: f.histogram("trim_call_seconds", "Round trip of one trimming command that removed something.", callBuckets),
	}
}

type cleanupSeries struct {
	jobs      []string
	actions   map[cleanup.Kind]prometheus.Counter
	putBack   prometheus.Counter
	sessions  *prometheus.GaugeVec
	brake     *prometheus.GaugeVec
	release   *prometheus.GaugeVec
	lost      prometheus.Gauge
	malformed *prometheus.CounterVec
}

func newCleanupSeries(f factory, jobs []string) cleanupSeries {
	return cleanupSeries{
		jobs: jobs,
		actions: map[cleanup.Kind]prometheus.Counter{
			cleanup.Expire:   f.counter("sessions_expired_total", "Sessions removed because they were not updated for too long."),
			cleanup.Abandon:  f.counter("sessions_abandoned_total", "Open sessions marked as abandoned."),
			cleanup.Retire:   f.counter("streams_retired_total", "Dead streams removed."),
			cleanup.Restore:  f.counter("streams_restored_total", "Retired streams listed again because they came back."),
			cleanup.DropName: f.counter("stream_names_dropped_total", "Names removed from the set of streams because they had no key."),
		},
		putBack: f.counter("sessions_restored_total", "Expired sessions that undo put back, as clean-up finds them."),
		sessions: f.gauges("sessions", "Sessions by state, after the last clean-up; 0 on a follower.",
			"state", texts(cleanup.States)),
		lost:  f.gauge("registry_lost", "1 where the set of streams is empty although nobody emptied it; 0 on a follower."),
		brake: f.of(ownerLabel).gauges("brake_tripped", "1 where the mass-deletion guard stopped the last run.", "job", jobs),
		release: f.of(ownerLabel).gauges("brake_release_timestamp_seconds",
			"When the mass-deletion guard releases by itself; 0 where it did not trip, or never does.", "job", jobs),
		malformed: f.of("").counters("malformed_total", "What is not as the protocol says, each time it is met; it is left alone.",
			"kind", cleanup.Kinds),
	}
}

// forget sets to nothing what only a leader knows.
func (s cleanupSeries) forget() {
	for _, state := range cleanup.States {
		s.sessions.WithLabelValues(string(state)).Set(0)
	}
	s.lost.Set(0)
	for _, job := range s.jobs {
		s.brake.WithLabelValues(job).Set(0)
		s.release.WithLabelValues(job).Set(0)
	}
}

type inspectSeries struct {
	reasons     *prometheus.CounterVec
	size, ratio prometheus.Histogram
}

// sizeBuckets double around 64 KiB, which the RTA documentation advises, and
// have an edge at 1 MiB, which it allows, and at 16 MiB, past which a message is
// invalid by default.
var sizeBuckets = []float64{1 << 10, 4 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20, 4 << 20, 16 << 20}

// ratioBuckets begin at 1, below which compressing makes larger; telemetry
// reaches 2 to 4, and LZ4 at most 255.
var ratioBuckets = []float64{1, 1.25, 1.5, 2, 2.5, 3, 4, 6, 10, 25, 100}

func newInspectSeries(f factory, reasons []string) inspectSeries {
	return inspectSeries{
		reasons: f.counters("inspect_reasons_total", "Why sampled messages were not ok.", "reason", reasons),
		size:    f.histogram("inspect_burst_bytes", "Sizes of sampled messages, uncompressed.", sizeBuckets),
		ratio:   f.histogram("inspect_compression_ratio", "Uncompressed over compressed size of sampled messages.", ratioBuckets),
	}
}

func texts[S ~string](values []S) []string {
	all := make([]string, len(values))
	for i, value := range values {
		all[i] = string(value)
	}
	return all
}
