package sweep

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/trim"
)

// Store is what trimming needs of the stream buffer; it is used by several
// goroutines at once.
type Store interface {
	Now(context.Context) (time.Time, error)
	NodeLimits(context.Context) buffer.NodeLimits
	WalkStreams(ctx context.Context, visit func(names []string) error) error
	NodeOf(ctx context.Context, stream string) (string, error)
	Lengths(ctx context.Context, names []string) ([]buffer.Length, error)
	Sizes(ctx context.Context, names []string) ([]int64, error)
	Heads(ctx context.Context, looks []buffer.Look) ([]buffer.Head, error)
	LastIDs(ctx context.Context, names []string) ([]buffer.LastID, error)
	Infos(ctx context.Context, names []string) ([]buffer.StreamInfo, error)
	CountBefore(ctx context.Context, stream string, id buffer.ID, most int64) (int64, error)
	GroupFloors(ctx context.Context, streams []string, guard buffer.GroupGuard) ([]buffer.GroupFloor, error)
	GroupNotes(context.Context) (map[buffer.GroupName]time.Time, error)
	NoteGroups(ctx context.Context, groups []buffer.GroupName, now time.Time) error
	ForgetGroups(ctx context.Context, groups []buffer.GroupName) error
	Memories(context.Context) ([]buffer.NodeMemory, error)
	Trims(ctx context.Context, calls []buffer.Trim) ([]buffer.Trimmed, error)
	TrimPolicy(context.Context) (buffer.Facts, error)
	SetTrimPolicy(context.Context, buffer.Facts) error
}

// DefaultGroupIdleAfter is how long a consumer group may be idle and still
// hold trimming back.
const DefaultGroupIdleAfter = time.Hour

// Options of a [Sweeper]. Functions may be nil.
type Options struct {
	Policies trim.Policies
	// Pressure is the share of maxmemory above which streams keep less than
	// their policies say, but never less than the default policy's MinAge,
	// which must be set with it; 0 is off.
	Pressure float64
	// MaxStall is how long one call may hold up Redis; 0 means
	// [DefaultMaxStall].
	MaxStall time.Duration
	// Budget is how long a run may take before it leaves the rest to the
	// next one; 0 means as long as it takes.
	Budget time.Duration
	// RespectGroups keeps what a consumer group still needs, unless all its
	// consumers are idle for longer than GroupIdleAfter.
	RespectGroups  bool
	GroupIdleAfter time.Duration

	// OnRemoved is told of entries that went from a stream.
	OnRemoved func(stream string, reason trim.Reason, entries int64)
	// OnCall is told how long a call took that removed something.
	OnCall func(time.Duration)
	// OnMalformed is told the kind of what cannot be trimmed as it should.
	OnMalformed func(kind string)
	// OnProgress is told how far a run is, now and then.
	OnProgress func(Progress)
	Log        *slog.Logger
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
	Streams        int64 // there are
	StreamsTrimmed int64 // that lost an entry
	EntriesRemoved int64
	Errors         int64 // streams that could not be trimmed
	// Examples has one error of each class.
	Examples []error
	Left     int   // streams whose backlog is left to the next run
	Backlog  int64 // entries of that backlog; an estimate where an age limits them
	// Pressure says in words that streams keep less for want of memory;
	// empty if they do not.
	Pressure string
}

// Sweeper trims all streams, run after run. It is not safe for concurrent use.
type Sweeper struct {
	store Store
	o     Options
	nodes buffer.NodeLimits
	pace  *pace
	// pressure is what streams keep less for want of memory.
	pressure *pressure
	// carriedOver are the streams whose backlog the last run did not finish.
	carriedOver map[string]bool
	// announced: what a stricter policy removes was said.
	announced bool
}

// New makes a trimmer over a store.
func New(store Store, o Options) *Sweeper {
	if o.MaxStall <= 0 {
		o.MaxStall = DefaultMaxStall
	}
	if o.GroupIdleAfter <= 0 {
		o.GroupIdleAfter = DefaultGroupIdleAfter
	}
	if o.OnRemoved == nil {
		o.OnRemoved = func(string, trim.Reason, int64) {}
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
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Sweeper{
		store: store, o: o, pace: newPace(o.MaxStall), pressure: newPressure(),
	}
}

// Run removes from every stream what its policy does not keep. The error says what broke the run off, or that Redis's clock cannot be
// trusted and so nothing was removed by age; streams that could not be trimmed
// are counted in the report.
func (t *Sweeper) Run(ctx context.Context) (Report, error) {
	now, clockErr := t.begin(ctx)
	if clockErr != nil && !errors.Is(clockErr, buffer.ErrClock) {
		return Report{}, clockErr
	}
	if !t.announced && clockErr == nil {
		t.announced = true
		if err := t.announce(ctx); err != nil {
			t.o.Log.Warn("cannot tell whether the policy got stricter", "error", err)
		}
	}
	r := newRun(t, now, clockErr == nil)
	err := r.readGroupNotes(ctx)
	if err == nil {
		err = r.pass(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if drainErr := r.drain(ctx); err == nil {
		err = drainErr
	}
	if err == nil {
		err = r.press(ctx)
	}
	if err == nil {
		err = r.groups.write(ctx, r.store, r.now)
	}
	r.report.Left = len(r.waiting)
	t.carriedOver = make(map[string]bool, len(r.waiting))
	for _, b := range r.waiting {
		t.carriedOver[b.name] = true
	}
	if err == nil {
		r.report.Backlog, err = r.backlog(ctx)
	}
	r.progress(true)
	r.logErrors()
	if err == nil {
		err = clockErr
	}
	return r.report, err
}

// begin asks for the server's time, and for what does not change.
func (t *Sweeper) begin(ctx context.Context) (now time.Time, err error) {
	started := time.Now()
	now, err = t.store.Now(ctx)
	t.pace.trips(time.Since(started))
	if t.nodes == (buffer.NodeLimits{}) {
		t.nodes = t.store.NodeLimits(ctx)
	}
	return now, err
}
