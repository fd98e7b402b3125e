// Package metrics names every series of streamkeeper in one place, and reads the
// figures of the streams.
//
// Every metric is there from the first scrape, on followers too: labels with a
// fixed list of values start at 0, and those with a stream start as [Other].
// Only the largest streams get a label of their own, so that the number of
// series is bounded whatever the number of streams.
package metrics

import (
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/trim"
)

// DefaultMaxStreams is a number of labels that a Prometheus server carries with
// ease.
const DefaultMaxStreams = 500

// Options of [New].
type Options struct {
	// Version and Revision of the build; GoVersion is the running one if empty.
	Version, Revision, GoVersion string
	// MaxStreams is how many streams get a label of their own, 0 for none.
	MaxStreams int
	// Jobs are the values of the label job.
	Jobs []string
	// Reasons are the values of the label reason of the inspector's findings.
	Reasons []string
	// Checks and Severities are the values of the labels of the doctor's findings.
	Checks, Severities []string
	// Periods are the times between two runs of each job; none where it is off or
	// where nobody knows.
	Periods map[string]time.Duration
	// Limits are what the policy lets a stream have; nil if no stream has a limit.
	Limits func(stream string) Limits
	// DryRun says that nothing is removed, and OneShot that this process does its
	// jobs once.
	DryRun, OneShot bool
	// Now is this machine's clock; nil means time.Now.
	Now func() time.Time
}

// Limits are what a policy lets a stream have; 0 for no limit.
type Limits struct {
	Entries int64
	Age     time.Duration
	Bytes   int64
}

// Metrics are all series. The methods may be called by several goroutines at
// once, and take the arguments that the callbacks of trim, cleanup and buffer
// give.
type Metrics struct {
	// ours holds streamkeeper's own series.
	ours *prometheus.Registry
	// owners say whose each family of ours is.
	owners map[string]string
	now    func() time.Time

	redis   redisSeries
	jobs    jobSeries
	trims   trimSeries
	cleanup cleanupSeries
	inspect inspectSeries
	streams *streamTable
	sizes   *sizes
	// findings are the doctor's.
	findings findingSeries
	// count is the number of streams.
	count prometheus.Gauge
	// unread counts lines of the log, and unrecorded removals.
	unread, unrecorded prometheus.Counter

	// reloaded and reloadedAt are of the configuration.
	reloaded, reloadedAt prometheus.Gauge

	// mu makes leading and what only a leader shows change together.
	mu      sync.Mutex
	leading bool
	// memory is what Redis used at each reading.
	memory memoryReadings
	leader prometheus.Gauge

	// firstReading lets one of several jobs that begin at once read the figures.
	firstReading sync.Mutex
}

// New makes the metrics, in registries of their own.
func New(o Options) *Metrics {
	if o.GoVersion == "" {
		o.GoVersion = runtime.Version()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Limits == nil {
		o.Limits = func(string) Limits { return Limits{} }
	}
	m := &Metrics{ours: prometheus.NewRegistry(), owners: make(map[string]string), now: o.Now}
	f := newFactory(m.ours, m.owners)
	f.build(o.Version, o.Revision, o.GoVersion)
	f.gauge("dry_run", "1 where nothing is removed, only decided.").Set(number(o.DryRun))
	f.gauge("one_shot", "1 where a run of once left this, 0 where a daemon says it.").Set(number(o.OneShot))
	m.reloaded = f.gauge("config_last_reload_successful", "1 where the policies of the file, or of the start, count; 0 where the file is faulty.")
	m.reloadedAt = f.gauge("config_last_reload_success_timestamp_seconds", "When the policies were last read.")
	m.leader = f.gauge("leader", "1 where this replica leads, which is the one that works.")
	m.count = f.of(ownerFigures).gauge("streams", "Names in the set of streams, at the last reading; 0 on a follower.")
	m.unrecorded = f.counter("history_dropped_total", "Removals that could not be recorded in the history.")
	m.unread = f.counter("log_dropped_total", "Lines of the log that were dropped because nobody took them.")
	m.redis = newRedisSeries(f)
	m.jobs = newJobSeries(f.of(ownerLabel), o.Jobs)
	for job, period := range o.Periods {
		m.jobs.period.WithLabelValues(job).Set(period.Seconds())
	}
	m.trims = newTrimSeries(f.of(ownerTrim))
	m.cleanup = newCleanupSeries(f.of(ownerCleanup), o.Jobs)
	m.inspect = newInspectSeries(f.of(ownerInspect), o.Reasons)
	m.findings = newFindingSeries(f.of(ownerCleanup), o.Checks, o.Severities)
	m.sizes = newSizes()
	m.streams = newStreamTable(o.MaxStreams, o.Limits, newStreamDescs(f))
	m.ours.MustRegister(m.streams)
	return m
}

// Leader notes whether this replica leads. Figures that only the leader reads
// (streams, sessions, the mass-deletion guard, Redis's memory) are taken while it
// does, and go when it ends: otherwise two replicas would report the same streams,
// one of them with old figures.
func (m *Metrics) Leader(leads bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leading = leads
	m.leader.Set(number(leads))
	if leads {
		return
	}
	m.count.Set(0)
	m.redis.memory(0, 0)
	m.memory = nil
	m.jobs.forget()
	m.cleanup.forget()
	m.findings.forget()
	m.streams.takeLearnt()
	m.streams.show(reading{trimmed: true})
}

// whileLeading calls show unless this replica is a follower.
func (m *Metrics) whileLeading(show func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leading {
		show()
	}
}

// HistoryDropped counts removals that could not be recorded.
func (m *Metrics) HistoryDropped(removals int64) { m.unrecorded.Add(float64(removals)) }

// LogDropped counts lines of the log that nobody took.
func (m *Metrics) LogDropped(lines int64) { m.unread.Add(float64(lines)) }

// ConfigReloaded notes whether the configuration could be read, at the start and
// later.
func (m *Metrics) ConfigReloaded(ok bool) {
	m.reloaded.Set(number(ok))
	if ok {
		m.reloadedAt.Set(float64(m.now().UnixMilli()) / 1000)
	}
}

// RedisUp notes whether Redis answers.
func (m *Metrics) RedisUp(up bool) { m.redis.up.Set(number(up)) }

// RedisError counts an error of Redis or of the way to it.
func (m *Metrics) RedisError(class redisconn.Class) {
	m.redis.errors.WithLabelValues(string(class)).Inc()
}

// RedisMemory notes what Redis's data take and may take, in bytes; a limit of 0
// is none, or not known.
func (m *Metrics) RedisMemory(used, limit int64) {
	m.whileLeading(func() {
		m.redis.memory(used, limit)
		if used > 0 {
			m.memory.add(m.now(), used)
		}
	})
}

// MemoryGrowth is how Redis's memory grows, as far as that is known since this
// replica leads.
func (m *Metrics) MemoryGrowth() Growth {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.memory.growth()
}

// The results of a run.
const (
	ResultOK      = "ok"
	ResultError   = "error"
	ResultSkipped = "skipped"
)

// Run is a run of a job that ended, or that was skipped.
type Run struct {
	Job string
	// Result is one of those above.
	Result string
	// Took is 0 where it was skipped.
	Took time.Duration
	// Paused says that it was skipped because of a pause, which is well.
	Paused bool
	// ClocksDisagree says that it failed for that.
	ClocksDisagree bool
}

// JobRun notes a run.
func (m *Metrics) JobRun(r Run) {
	m.jobs.runs.WithLabelValues(r.Job, r.Result).Inc()
	if r.Result == ResultSkipped && !r.Paused {
		return
	}
	good := r.Result != ResultError
	m.jobs.duration.WithLabelValues(r.Job).Observe(r.Took.Seconds())
	now := float64(m.now().UnixMilli()) / 1000
	if good {
		m.jobs.success.WithLabelValues(r.Job).Set(now)
	}
	m.whileLeading(func() {
		m.jobs.lastRun.WithLabelValues(r.Job).Set(now)
		m.jobs.lastOK.WithLabelValues(r.Job).Set(number(good))
		m.jobs.clocks.WithLabelValues(r.Job).Set(number(r.ClocksDisagree))
	})
}

// Malformed counts something that is not as the protocol says; kind is one of
// [cleanup.Kinds].
func (m *Metrics) Malformed(kind string) { m.cleanup.malformed.WithLabelValues(kind).Inc() }

// Paused notes whether anything of a job is paused.
func (m *Metrics) Paused(job string, paused bool) {
	m.jobs.paused.WithLabelValues(job).Set(number(paused))
}

// TrimStarted tells that what is trimmed from now on belongs to a new run.
func (m *Metrics) TrimStarted() { m.streams.startTrim() }

// TrimRemoved counts entries that went from a stream.
func (m *Metrics) TrimRemoved(stream string, reason trim.Reason, entries int64) {
	m.streams.removed(stream, reason, entries, m.now())
}

// TrimCall notes the round trip of one trimming command.
func (m *Metrics) TrimCall(took time.Duration) { m.trims.call.Observe(took.Seconds()) }

// CleanedUp counts one action that clean-up carried out.
func (m *Metrics) CleanedUp(a cleanup.Action) {
	if counter, ok := m.cleanup.actions[a.Kind]; ok {
		counter.Inc()
	}
}

// Sessions notes how many sessions are in a state.
func (m *Metrics) Sessions(state cleanup.State, n int64) {
	m.whileLeading(func() { m.cleanup.sessions.WithLabelValues(string(state)).Set(float64(n)) })
}

// SessionsRestored counts sessions that were put back since the last clean-up.
func (m *Metrics) SessionsRestored(n int64) { m.cleanup.putBack.Add(float64(n)) }

// RegistryLost notes whether the set of streams is empty although nobody emptied
// it.
func (m *Metrics) RegistryLost(lost bool) {
	m.whileLeading(func() { m.cleanup.lost.Set(number(lost)) })
}

// Brake notes whether the mass-deletion guard stopped the last run of a job, and
// when it releases; zero if it does not by itself.
func (m *Metrics) Brake(job string, tripped bool, until time.Time) {
	release := 0.0
	if tripped && !until.IsZero() {
		release = float64(until.Unix())
	}
	m.whileLeading(func() {
		m.cleanup.brake.WithLabelValues(job).Set(number(tripped))
		m.cleanup.release.WithLabelValues(job).Set(release)
	})
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
