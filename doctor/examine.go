package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/inspect"
	"github.com/streamkeeper/streamkeeper/internal/human"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/trim"
)

// Options of a [Doctor].
type Options struct {
	// Connection is the way to Redis, of which nothing secret is shown.
	Connection redisconn.Connection
	// Uses are what is enabled, for the rights that it needs.
	Uses buffer.Uses
	// Policies and groups are as trimming has them.
	Policies       trim.Policies
	RespectGroups  bool
	GroupIdleAfter time.Duration
	// Limits are those of clean-up.
	Limits cleanup.Limits
	// HistoryLength is how many removals are remembered.
	HistoryLength int64
	// Inspect says how payloads are judged.
	Inspect inspect.Options
	// Leases says that instances share the work by a lease.
	Leases bool
	// Now is this machine's clock; nil means time.Now.
	Now func() time.Time
	// OnProgress is told in words how far it is.
	OnProgress func(doing string)
}

// Doctor examines a buffer. It only reads.
type Doctor struct {
	b *buffer.Buffer
	o Options
}

// New makes a doctor.
func New(b *buffer.Buffer, o Options) *Doctor {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.OnProgress == nil {
		o.OnProgress = func(string) {}
	}
	return &Doctor{b, o}
}

// Report is what all checks say, in the order of [Checks], group by group.
type Report struct{ Findings []Finding }

// Count is how many findings have a severity.
func (r Report) Count(s Severity) (n int64) {
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// Examine makes every check that is about the buffer as a whole.
func (d *Doctor) Examine(ctx context.Context) (Report, error) {
	e := d.newExamination(func(c *Check) bool { return c.ofBuffer() })
	e.reads = true
	for _, step := range []struct {
		doing string
		do    func(context.Context) error
	}{
		{"asking the server", e.readServer},
		{"reading streams", e.readStreams},
		{"sampling messages", e.readMessages},
		{"reading sessions", e.readSessions},
		{"reading the counter", e.readCounter},
		{"looking for streams that nobody lists", e.readUnlisted},
		{"looking for sessions with one id", e.readTwins},
		{"looking for sessions' messages", e.readAttended},
	} {
		d.o.OnProgress(step.doing)
		if err := step.do(ctx); err != nil {
			return Report{}, fmt.Errorf("%s: %w", step.doing, err)
		}
	}
	if err := e.nothing(); err != nil {
		return Report{}, err
	}
	e.judgeWhole()
	return e.report(), nil
}

// Glance makes the checks that cost next to nothing.
func (d *Doctor) Glance(ctx context.Context) (Report, error) {
	e := d.newExamination(func(c *Check) bool { return c.Glance })
	for _, o := range e.outcomes {
		o.rule = ruleOfJobs
	}
	if err := e.readServer(ctx); err != nil {
		return Report{}, err
	}
	e.mostStreams = glanceStreams
	if err := e.readStreams(ctx); err != nil && !errors.Is(err, errEnough) {
		return Report{}, err
	}
	return e.report(), nil
}

// glanceStreams is how many streams a glance looks at.
const glanceStreams = 1000

// errEnough ends a scan.
var errEnough = errors.New("enough was seen")

func (c *Check) ofBuffer() bool {
	return c.server != nil || c.stream != nil || c.session != nil || c.sample != nil || c.buffer != nil
}

// examination is one run of checks.
type examination struct {
	*Doctor
	outcomes []*outcome
	now      time.Time
	server   Server
	whole    Buffer

	streams  *streamTable
	samples  *samples
	sessions *sessionScan
	// unread are the facts that are not known.
	unread unread
	// groups are since when consumer groups are without consumers, once they were read.
	groups     buffer.NotedGroups
	groupsRead bool
	// reads: more is read than in a glance.
	reads bool
	// askedTrims are the streams of which it was asked what we trimmed; fullHours: not
	// each that was trimmed has a sum.
	askedTrims int
	fullHours  bool
	// askedRates are the streams of which it was asked how fast they flow.
	askedRates int
	// mostStreams ends the scan of the streams; 0 for all.
	mostStreams int64
	// registry is read in full.
	registry *registry.Registry
}

func (d *Doctor) newExamination(wanted func(*Check) bool) *examination {
	e := &examination{Doctor: d, streams: newStreamTable(), samples: newSamples(), registry: d.b.InFull(), unread: make(unread)}
	e.sessions = newSessionScan()
	e.whole.Server, e.whole.Policies, e.whole.Narrowed = &e.server, d.o.Policies, d.b.Narrowed()
	e.whole.Used = make([]bool, len(d.o.Policies.Rules))
	checks := Checks()
	for i := range checks {
		if wanted(&checks[i]) {
			e.outcomes = append(e.outcomes, &outcome{check: &checks[i], rule: ruleOfReader, severity: OK})
		}
	}
	return e
}

// judgeWhole makes the checks that take everything into account.
func (e *examination) judgeWhole() {
	for _, s := range e.samples.finish(e.streams, e.now, e.o.Limits.ExpireAfter/2) {
		e.judgeSample(s)
	}
	e.whole.Now = e.now
	e.whole.Missing, e.whole.MoreMissing = e.streams.missing(), len(e.streams.empty) >= maxNames
	e.whole.Shared = e.sessions.shared(e.streams)
	e.whole.Totals.Sessions = e.sessions.count
	e.whole.SizesError = cmp.Or(e.unread[factTime], e.unread[factStreams], e.unread[factSizes])
	e.whole.SessionsError = e.unread[factSessions]
	for _, o := range e.outcomes {
		if o.check.buffer != nil && e.unread.lacks(o.check) == nil {
			o.check.buffer(&e.whole, o)
		}
	}
}

func (e *examination) judgeStream(s *Stream) {
	for _, o := range e.outcomes {
		if o.check.stream != nil && e.unread.lacks(o.check) == nil {
			o.check.stream(s, o)
		}
	}
}

func (e *examination) judgeSession(s *Session) {
	for _, o := range e.outcomes {
		if o.check.session != nil && e.unread.lacks(o.check) == nil {
			o.check.session(s, o)
		}
	}
}

func (e *examination) judgeSample(s *Sample) {
	for _, o := range e.outcomes {
		if o.check.sample != nil && e.unread.lacks(o.check) == nil {
			o.check.sample(s, o)
		}
	}
}

// nothing is the reason why nothing could be asked, nil if something could.
func (e *examination) nothing() error {
	for f := range facts {
		if !isDenied(e.unread[f]) && e.asked(f) {
			return nil
		}
	}
	return e.unread[factTime]
}

// asked reports whether a fact was to be read even where others could not be.
func (e *examination) asked(f fact) bool {
	switch f {
	case factTrims, factSizes, factGroups, factJSONs, factExpiry, factMessages, factAttended:
		return false
	case factDatabases:
		return e.server.Mode != "cluster"
	case factNodeLimits:
		return e.server.Trims
	case factHistory:
		return e.reads
	case factLease:
		return e.server.Leases
	}
	return true
}

// report puts the findings into their groups.
func (e *examination) report() Report {
	var r Report
	for _, group := range Groups() {
		for _, o := range e.outcomes {
			if o.check.Group != group {
				continue
			}
			if err := e.unread.lacks(o.check); err != nil {
				o.unknown(err)
			}
			if o.check.ID == "rights" && e.unread[factRights] != nil && e.unread.anyDenied() {
				o.worsen(Error) // some are missing, if not known which
			}
			f := o.finding()
			if o.count > 0 && o.check.samplesSessions() {
				f.Text += e.sessions.ofSample()
			}
			if o.check.sample != nil && o.severity == OK && e.samples.left > 0 {
				f.Text += fmt.Sprintf("; %s did not suffice for the samples of %s", human.Bytes(sampleBytes), human.Plural(e.samples.left, "stream"))
			}
			r.Findings = append(r.Findings, f)
		}
	}
	return r
}
