package metrics

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/trim"
)

// Other is the label under which the streams without one of their own are
// summed: entries, memory, removals and verdicts. Their ids are not read, so it has
// neither coverage nor idle time, and its limits are 0.
const Other = "_other"

// Label is the value of the label stream for a stream's name, which may be any
// bytes. It is written as [buffer.Escape] writes it, and [buffer.Unescape]
// reverses it; a stream that is itself named [Other] is \x5fother.
func Label(stream string) string {
	if stream == Other {
		return `\x5f` + Other[1:]
	}
	return buffer.Escape(stream)
}

// figures are what a reading learns of a stream.
type figures struct {
	entries int64
	// nodeEntries is how many entries a macro node has in the mean, rounded up;
	// 0 if not known.
	nodeEntries int64
	// bytes is what the entries take in memory, 0 if not known; estimated if that
	// was not counted.
	bytes     int64
	estimated bool
	limits    Limits
	// timed reports that the ids are times, without which coverage and idle mean
	// nothing.
	timed          bool
	coverage, idle time.Duration
}

// series are the values under one label stream, and what the status page says
// besides.
type series struct {
	figures
	// protected is what the last trimming run learnt.
	protected protected

	removed  []int64 // by trim.Reasons
	verdicts []int64 // by burst.Verdicts

	trimmed   trimmed
	inspected inspected
	// invalid is how many messages the last inspection that ended found so.
	invalid int64
	// passedOver is the last inspection that did not look at the stream.
	passedOver int
	history    history
	// picture is nil where there are too many.
	picture *picture
}

// trimmed is what the last run that took something from a stream took.
type trimmed struct {
	run     int
	at      time.Time
	entries int64
}

// inspected is what the last run that looked at a stream saw.
type inspected struct {
	run      int
	at       time.Time
	encoding string
	verdicts []int64
}

func newSeries() *series {
	return &series{
		removed:  make([]int64, len(trim.Reasons)),
		verdicts: make([]int64, len(burst.Verdicts())),
	}
}

// streamTable is everything that is kept by stream. It is one collector rather
// than a vector for each metric, so that a scrape sees the streams as one
// reading left them: nothing is counted under its own label and under Other.
type streamTable struct {
	max    int
	limits func(stream string) Limits
	descs  streamDescs

	mu    sync.Mutex
	last  reading
	own   map[string]*series // by name, at most max
	other *series
	// learnt are the lengths of a trimming run that no reading has used.
	learnt *top
	// Numbers of the runs under way, which tell what belongs to the same run.
	trimRun, inspectRun int
}

func newStreamTable(most int, limits func(string) Limits, descs streamDescs) *streamTable {
	return &streamTable{max: most, limits: limits, descs: descs, own: make(map[string]*series), other: newSeries()}
}

// read reports whether the streams have been read since this replica leads.
func (t *streamTable) read() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.last.at.IsZero()
}

// show gives labels to the streams of a reading and takes them from all others.
// A label that a stream had before keeps its counts. Those of a label that ends
// end with it; adding them to Other would count them twice in a rate.
func (t *streamTable) show(r reading) {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := make(map[string]*series, len(r.chosen))
	pictures := t.picturesOf(r.chosen)
	for _, c := range r.chosen {
		s, ok := t.own[c.name]
		if !ok {
			s = newSeries()
		}
		s.figures = c.figures
		if r.trimmed {
			s.protected = c.protected
		}
		s.limits = t.limits(c.name)
		s.history.add(s.entries, s.removed)
		if s.picture == nil && pictures < maxPictures {
			s.picture, pictures = new(picture), pictures+1
		}
		if s.picture != nil {
			s.picture.add(r.at, s.entries, s.bytes, s.removed)
		}
		own[c.name] = s
	}
	t.own, t.last = own, r
	t.other.entries, t.other.bytes = r.otherEntries, r.otherBytes
	if r.trimmed {
		t.other.protected = r.otherProtected
	}
	t.last.chosen = nil
}

// picturesOf is how many of the streams have a picture.
func (t *streamTable) picturesOf(all []chosen) (n int) {
	for _, c := range all {
		if s := t.own[c.name]; s != nil && s.picture != nil {
			n++
		}
	}
	return n
}

// labelled reports, as of now, which streams have a label of their own.
func (t *streamTable) labelled() func(stream string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.own // replaced as a whole, never changed
	return func(stream string) bool { return own[stream] != nil }
}

// of is called with mu held.
func (t *streamTable) of(stream string) *series {
	if s, ok := t.own[stream]; ok {
		return s
	}
	return t.other
}

func (t *streamTable) startTrim() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trimRun++
}

func (t *streamTable) startInspection() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.inspectRun++
}

// endInspection settles what the run found in each stream.
func (t *streamTable) endInspection(complete bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.other.endInspection(t.inspectRun, complete)
	for _, s := range t.own {
		s.endInspection(t.inspectRun, complete)
	}
}

func (s *series) endInspection(run int, complete bool) {
	switch seen := s.inspected; {
	case seen.verdicts != nil && seen.run == run:
		s.invalid = seen.verdicts[burst.Invalid]
	case complete && s.passedOver != run:
		s.invalid = 0
	}
}

// passedOver notes that the run of inspection says nothing of a stream.
func (t *streamTable) passedOver(stream string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.of(stream).passedOver = t.inspectRun
}

func (t *streamTable) removed(stream string, reason trim.Reason, entries int64, now time.Time) {
	i := slices.Index(trim.Reasons, reason)
	if i < 0 || entries <= 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.of(stream)
	s.removed[i] += entries
	if s.trimmed.run != t.trimRun {
		s.trimmed = trimmed{run: t.trimRun}
	}
	s.trimmed.at = now.UTC()
	s.trimmed.entries += entries
}

func (t *streamTable) inspected(msg Message, now time.Time) {
	i := slices.Index(burst.Verdicts(), msg.Verdict)
	if i < 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.of(msg.Stream)
	s.verdicts[i]++
	if s.inspected.verdicts == nil || s.inspected.run != t.inspectRun {
		s.inspected = inspected{run: t.inspectRun, encoding: s.inspected.encoding, verdicts: make([]int64, len(s.verdicts))}
	}
	s.inspected.at = now.UTC()
	s.inspected.verdicts[i]++
	s.inspected.encoding = cmp.Or(msg.Encoding, s.inspected.encoding)
}

type streamDescs struct {
	entries, nodeEntries, limit, limitAge, bytes, limitBytes, protected, coverage, idle, removed, verdicts, invalid *prometheus.Desc
}

func newStreamDescs(f factory) streamDescs {
	desc := func(owner, name, help string, labels ...string) *prometheus.Desc {
		name = prometheus.BuildFQName(namespace, "", f.of(owner).noted(name))
		return prometheus.NewDesc(name, help, append([]string{"stream"}, labels...), nil)
	}
	return streamDescs{
		entries:     desc(ownerFigures, "stream_entries", "Entries in the stream; _other is the sum of all without a label of their own."),
		nodeEntries: desc(ownerFigures, "stream_node_entries", "Entries of a macro node in the mean; 0 if not known, and for _other."),
		limit:       desc(ownerFigures, "stream_limit_entries", "Entries that the policy lets the stream have; 0 for any number, and for _other."),
		limitAge:    desc(ownerFigures, "stream_limit_age_seconds", "How old the policy lets entries become; 0 for any age, and for _other."),
		bytes:       desc(ownerFigures, "stream_bytes", "What the entries take in Redis's memory; 0 if not known; an estimate for _other."),
		limitBytes:  desc(ownerFigures, "stream_limit_bytes", "Memory that the policy lets the entries take; 0 for any, and for _other."),
		protected: desc(ownerFigures, "stream_protected_entries",
			"Entries over a limit that stay, by what protects them; as the last trimming run found.", "by"),
		coverage: desc(ownerFigures, "stream_coverage_seconds",
			"Newest minus oldest entry's time: how much of the recent past can still be given; not there for _other."),
		idle:     desc(ownerFigures, "stream_idle_seconds", "Time since the newest entry; not there for _other."),
		removed:  desc(ownerTrim, "trim_entries_removed_total", "Entries removed from streams.", "reason"),
		verdicts: desc(ownerInspect, "inspect_messages_total", "Sampled messages by what they were found to be.", "verdict"),
		invalid:  desc(ownerInspect, "last_run_invalid_messages", "Invalid messages among the samples of the last inspection."),
	}
}

func (d streamDescs) all() []*prometheus.Desc {
	return []*prometheus.Desc{d.entries, d.nodeEntries, d.limit, d.limitAge, d.bytes, d.limitBytes, d.protected, d.coverage, d.idle, d.removed, d.verdicts, d.invalid}
}

// Describe implements [prometheus.Collector].
func (t *streamTable) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range t.descs.all() {
		to <- desc
	}
}

// Collect implements [prometheus.Collector].
func (t *streamTable) Collect(to chan<- prometheus.Metric) {
	for _, metric := range t.metrics() {
		to <- metric
	}
}

// metrics is all series at one instant.
func (t *streamTable) metrics() []prometheus.Metric {
	t.mu.Lock()
	defer t.mu.Unlock()
	perStream := 9 + len(trim.Protectors) + len(trim.Reasons) + len(burst.Verdicts())
	all := t.append(make([]prometheus.Metric, 0, perStream*(1+len(t.own))), Other, t.other, false)
	for name, s := range t.own {
		all = t.append(all, Label(name), s, s.timed)
	}
	return all
}

func (t *streamTable) append(all []prometheus.Metric, label string, s *series, timed bool) []prometheus.Metric {
	add := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		all = append(all, prometheus.MustNewConstMetric(desc, kind, value, append([]string{label}, labels...)...))
	}
	add(t.descs.entries, prometheus.GaugeValue, float64(s.entries))
	add(t.descs.nodeEntries, prometheus.GaugeValue, float64(s.nodeEntries))
	add(t.descs.limit, prometheus.GaugeValue, float64(s.limits.Entries))
	add(t.descs.limitAge, prometheus.GaugeValue, s.limits.Age.Seconds())
	add(t.descs.bytes, prometheus.GaugeValue, float64(s.bytes))
	add(t.descs.limitBytes, prometheus.GaugeValue, float64(s.limits.Bytes))
	add(t.descs.invalid, prometheus.GaugeValue, float64(s.invalid))
	if timed {
		add(t.descs.coverage, prometheus.GaugeValue, s.coverage.Seconds())
		add(t.descs.idle, prometheus.GaugeValue, s.idle.Seconds())
	}
	for i, by := range trim.Protectors {
		add(t.descs.protected, prometheus.GaugeValue, float64(s.protected[i]), string(by))
	}
	for i, reason := range trim.Reasons {
		add(t.descs.removed, prometheus.CounterValue, float64(s.removed[i]), string(reason))
	}
	for i, verdict := range burst.Verdicts() {
		add(t.descs.verdicts, prometheus.CounterValue, float64(s.verdicts[i]), verdict.String())
	}
	return all
}
