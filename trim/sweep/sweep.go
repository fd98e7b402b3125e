// Package sweep trims all streams, so that neither producers nor viewers notice.
//
// A [Sweeper] asks for the lengths of streams page by page, has package trim
// decide, and carries the cuts out in slices, each so small that Redis is never
// blocked for longer than is allowed. Small cuts go in batches; what is left of
// large ones, the backlog, is removed node by node. A plan is the same run over a
// store that answers trimming calls from what was read.
package sweep

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/trim"
	"github.com/streamkeeper/streamkeeper/trim/pressure"
)

// Store is what trimming needs of the stream buffer, which is a [buffer.Buffer]; it
// is used by several goroutines at once.
type Store interface {
	Now(context.Context) (time.Time, error)
	NodeLimits(context.Context) buffer.NodeLimits
	WalkStreams(ctx context.Context, visit func(names []string) error) error
	NodeOf(ctx context.Context, stream string) (string, error)
	Lengths(ctx context.Context, names []string) ([]buffer.Length, error)
	Sizes(ctx context.Context, names []string) ([]int64, error)
	Oldest(ctx context.Context, looks []buffer.OldestRequest) ([]buffer.OldestResult, error)
	LastIDs(ctx context.Context, names []string) ([]buffer.LastID, error)
	HaveEntries(ctx context.Context, ranges []buffer.Range) ([]bool, error)
	CountRange(ctx context.Context, r buffer.Range, most buffer.CountLimit) (entries int64, all bool, err error)
	Infos(ctx context.Context, names []string) ([]buffer.StreamInfo, error)
	GroupFloors(ctx context.Context, streams []string, limits buffer.GroupLimits) ([]buffer.GroupFloor, error)
	GroupNotes(context.Context) (map[buffer.StreamGroup]time.Time, error)
	NoteGroups(ctx context.Context, groups []buffer.StreamGroup, now time.Time) error
	ForgetGroups(ctx context.Context, groups []buffer.StreamGroup) error
	Memories(context.Context) ([]buffer.NodeMemory, error)
	EntryMemories(ctx context.Context, names []string) ([]buffer.EntryMemory, error)
	EstimateEntryMemory(ctx context.Context, name string, counted buffer.EntryMemory) (buffer.EntryMemory, error)
	OldestWithin(ctx context.Context, stream string, w buffer.Within) (buffer.Counted, error)
	NewestOf(ctx context.Context, stream string, bytes int64) (buffer.Counted, error)
	AsSent(buffer.TrimRequest) buffer.TrimRequest
	Trims(ctx context.Context, calls []buffer.TrimRequest) ([]buffer.TrimResult, error)
	TrimPolicy(context.Context) (buffer.StateFields, error)
	SetTrimPolicy(context.Context, buffer.StateFields) error
}

// DefaultGroupIdleAfter is how long a consumer group may be idle and still
// protect entries.
const DefaultGroupIdleAfter = time.Hour

// Options of a [Sweeper]. Functions may be nil; they are called by the goroutine
// that runs the Sweeper.
type Options struct {
	Policies trim.Policies
	// Pressure is the share of maxmemory above which streams keep less than
	// their policies say, but never less than the default policy's MinAge,
	// which must be set with it; 0 is off.
	Pressure float64
	// MaxStall is how long one call may block Redis; 0 means
	// [DefaultMaxStall].
	MaxStall time.Duration
	// Budget is how long a run drains backlogs before it leaves the rest to the next one;
	// 0 means as long as it takes. Each stream gets its first call all the same, and
	// relieving the memory has as long again.
	Budget time.Duration
	// OneTime says that the run is for some streams, with policies of its own: they are
	// not compared with the last ones, nor noted, and rules may match none of the streams.
	OneTime bool
	// RespectGroups keeps what a consumer group still needs, unless all its consumers
	// are idle for longer than GroupIdleAfter, or it was seen without any for as long
	// (groupNotes).
	RespectGroups  bool
	GroupIdleAfter time.Duration

	// Paused says which streams lose nothing now. It is asked before anything is
	// removed and again and again while a run lasts, by several goroutines; an error
	// ends the run. Nil for no stream.
	Paused func(context.Context) (func(stream string) bool, error)

	// OnRemoved is called with entries that were removed from a stream.
	OnRemoved func(Removed)
	// OnUnknown is called with a stream that may have lost entries: no reply came,
	// and why.
	OnUnknown func(stream string, err error)
	// OnCall is called with the time that a call took that removed something.
	OnCall func(time.Duration)
	// OnMalformed is called with the kind of what cannot be trimmed as it should.
	OnMalformed func(kind string)
	// OnProgress is called now and then with how far a run is.
	OnProgress func(Progress)
	// OnStream is called with what a run learnt of a stream. A name that the
	// scan returns twice comes twice. A plan does not call it.
	OnStream func(Learnt)
	Log      *slog.Logger
}

// Removed is what one call took from a stream.
type Removed struct {
	Stream string
	Reason trim.Reason
	// Entries are 0 where it is known only later that calls freed more than was said.
	Entries int64
	// Bytes is an estimate of what the entries took, 0 if not known.
	Bytes int64
}

// Learnt is what a run knows of a stream once it has trimmed it.
type Learnt struct {
	Stream string
	// Entries are those that are left.
	Entries int64
	// Protected are the entries over a limit that stay.
	Protected []trim.Protection
}

// Progress is how far a run is.
type Progress struct {
	// Streams looked at, and entries removed, so far.
	Streams, Entries int64
	// Waiting is how many streams still have a backlog.
	Waiting int
}

// Report is what one run did.
type Report struct {
	Streams        int64 // there are; one within its limits that the scan names twice counts twice
	StreamsTrimmed int64 // that lost an entry
	EntriesRemoved int64
	BytesRemoved   int64 // an estimate of what these entries took
	Errors         int64 // streams that could not be trimmed
	// Examples has one error of each class.
	Examples []error
	Left     int   // streams whose backlog is left to the next run
	Backlog  int64 // entries of that backlog; an estimate where an age limits them
	// Pressure says in words that streams keep less because Redis is near its
	// maxmemory; empty if they do not.
	Pressure string
	// UnusedRules are the patterns of the policies' rules that no stream matches,
	// where there are streams.
	UnusedRules []string
}

// Sweeper trims all streams, run after run. It is not safe for concurrent use.
type Sweeper struct {
	store Store
	o     Options
	// nodes are the server's limits of macro nodes, and pace is what was learnt
	// of how much one call may free.
	nodes buffer.NodeLimits
	pace  pace
	sizes sizes
	// reducer is what streams keep less under memory pressure.
	reducer *pressure.Reducer
	// before, in a plan, is how full Redis is without what the plan removes.
	before []buffer.NodeMemory
	// carriedOver are the streams whose backlog the last run did not finish.
	carriedOver map[string]bool
	// announced is what was said of a stricter policy.
	announced announcement
	// toldUnused: it was said which rules match no stream.
	toldUnused bool
	// toldOthers is of how many keys of another type was said last.
	toldOthers int64
}

// New makes a sweeper over a store.
func New(store Store, o Options) *Sweeper {
	if o.MaxStall <= 0 {
		o.MaxStall = DefaultMaxStall
	}
	if o.GroupIdleAfter <= 0 {
		o.GroupIdleAfter = DefaultGroupIdleAfter
	}
	if o.Paused == nil {
		o.Paused = func(context.Context) (func(string) bool, error) { return func(string) bool { return false }, nil }
	}
	if o.OnRemoved == nil {
		o.OnRemoved = func(Removed) {}
	}
	if o.OnUnknown == nil {
		o.OnUnknown = func(string, error) {}
	}
	if o.OnCall == nil {
		o.OnCall = func(time.Duration) {}
	}
	if o.OnMalformed == nil {
		o.OnMalformed = func(string) {}
	}
	if o.OnProgress == nil {
		o.OnProgress = func(Progress) {}
	}
	if o.OnStream == nil {
		o.OnStream = func(Learnt) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Sweeper{store: store, o: o, pace: newPace(o.MaxStall), reducer: pressure.NewReducer()}
}

// SetPolicies has other policies count from the next run on. What was learnt of Redis
// stays, and so does by how much memory pressure has streams keep less.
func (s *Sweeper) SetPolicies(p trim.Policies) {
	s.o.Policies = p
	s.announced, s.toldUnused = announcement{}, false
	s.sizes = sizes{} // a limit of bytes may be new
}

// SetBudget has runs take another time from the next one on; see [Options.Budget].
func (s *Sweeper) SetBudget(d time.Duration) { s.o.Budget = d }

// Run removes from every stream what its policy does not keep. The error says
// what broke the run off, or that Redis's clock cannot be trusted and so nothing
// was removed by age; streams that could not be trimmed are counted in the
// report.
func (s *Sweeper) Run(ctx context.Context) (Report, error) {
	now, clockErr := s.begin(ctx)
	if clockErr != nil && !errors.Is(clockErr, redisconn.ErrClock) {
		return Report{}, clockErr
	}
	if !s.o.OneTime && clockErr == nil {
		s.compare(ctx)
	}
	r := newRun(s, now, clockErr == nil)
	r.handOver = func(c *stream, cut trim.Cut) {
		if isPressed(cut) {
			return // it was handed over before, as its policy left it
		}
		s.o.OnStream(Learnt{Stream: c.name, Entries: c.length(), Protected: cut.Protected})
	}
	report, result, err := r.run(ctx)
	report.Pressure = result.Sentence()
	if err == nil {
		err = clockErr
	}
	return report, err
}

// begin asks for the server's time, and for what does not change.
func (s *Sweeper) begin(ctx context.Context) (now time.Time, err error) {
	started := time.Now()
	now, err = s.store.Now(ctx)
	s.pace.begin()
	s.pace.trips(time.Since(started))
	if s.nodes == (buffer.NodeLimits{}) {
		s.nodes = s.store.NodeLimits(ctx)
	}
	return now, err
}

// Relieves reports whether memory counts: what goes from a stream depends on all the
// others then. Without an age below which nothing goes it does not, as there would be
// no end to it.
func (o Options) Relieves() bool { return o.Pressure > 0 && o.Policies.Default.MinAge > 0 }

func (s *Sweeper) relieves() bool { return s.o.Relieves() }
