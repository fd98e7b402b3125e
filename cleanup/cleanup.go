package cleanup

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/burst"
)

// Store is what clean-up needs of the stream buffer.
type Store interface {
	Now(context.Context) (time.Time, error)
	Owns(stream string) bool

	DetectsLayouts() bool
	WalkSessions(ctx context.Context, visit func([]buffer.Session) error) error
	WalkHashSessions(ctx context.Context, visit func([]buffer.Session) error) error
	SessionsExist(context.Context, []buffer.Session) (bool, error)
	Expire(context.Context, []buffer.Session) ([]bool, error)
	Marker

	CountStreams(context.Context) (int64, error)
	WalkStreams(ctx context.Context, visit func(names []string) error) error
	WalkStreamKeys(ctx context.Context, visit func(names []string) error) error
	Infos(ctx context.Context, names []string) ([]buffer.StreamInfo, error)
	Newest(ctx context.Context, names []string, n int) ([][]buffer.Mark, error)
	Listed(ctx context.Context, names []string) ([]bool, error)
	Retired(ctx context.Context, names []string) ([]bool, error)
	Returned(ctx context.Context, visit func([]buffer.Return) error) error
	Forget(context.Context, buffer.Return) error
	Retire(ctx context.Context, stream string, lastID buffer.ID, idle time.Duration) (buffer.Retirement, error)
	DropName(ctx context.Context, stream string) (buffer.Retirement, error)
	Restore(ctx context.Context, stream string) error

	Sightings(ctx context.Context, names []string) ([]time.Time, error)
	Sight(ctx context.Context, names []string, now time.Time) (bool, error)
	Unsight(ctx context.Context, names []string) error
	WalkSighted(ctx context.Context, visit func(names []string) error) error

	Left(context.Context) (buffer.Facts, error)
	SetLeft(context.Context, buffer.Facts) error
	Held(context.Context) (buffer.Facts, error)
	SetHeld(context.Context, buffer.Facts) (noted bool, err error)
}

// Options of a [Cleaner]. Functions may be nil.
type Options struct {
	Limits Limits
	Brake  Brake
	// Force carries out what the brake would stop.
	Force bool
	// Scan looks in the whole keyspace for streams that are not listed.
	Scan bool
	// Encoding is how messages are packed; [burst.Auto] finds it by looking.
	Encoding burst.Encoding

	// OnAction is told of each action that was carried out.
	OnAction func(Action)
	// OnMalformed is told the kind of what is not as the protocol says, once
	// for each such item of a run: one of [Kinds].
	OnMalformed func(kind string)
	// OnStillFlowing is told of each session that is about to expire while
	// its messages still flow.
	OnStillFlowing func(buffer.Session)
	Log            *slog.Logger
}

// The kinds of malformed items.
const (
	KindSession    = "session"
	KindStreamType = "stream_type"
	KindStreamID   = "stream_id"
	// KindUnlisted is a stream that the set does not list, and that may
	// belong to another application.
	KindUnlisted = "unlisted_stream"
)

// Kinds lists every kind, for metrics that start at 0.
var Kinds = []string{KindSession, KindStreamType, KindStreamID, KindUnlisted}

// Report is what one run did, or what it would do.
type Report struct {
	Sessions          int64 // all that are ours
	SessionsLive      int64
	SessionsStale     int64
	SessionsMalformed int64
	SessionsFlowing   int64 // stale, and their messages still flow
	SessionsExpired   int64
	SessionsAbandoned int64
	Streams           int64 // names in the set that are ours
	StreamsRetired    int64
	StreamsRestored   int64
	NamesDropped      int64
	Errors            int64
	// Brake is why nothing was removed, "" if the brake did not trip.
	Brake string
	// Held is what the brake held back, nil if it did not trip.
	Held *Held
}

// Held is what a run would have removed but for the brake.
type Held struct {
	Expire, Retire, Drop int64
	// Examples are the first of each kind.
	Examples []Action
}

// Cleaner cleans up, run after run. It is not safe for concurrent use.
type Cleaner struct {
	store Store
	o     Options
	// keysLooked is when the keyspace was last walked for sessions, and
	// keysFound whether one was found then.
	keysLooked time.Time
	keysFound  bool
	// mind is the decision that the brake holds back where Redis has no memory
	// to note it.
	mind mind
}

// New makes a cleaner over a store.
func New(store Store, o Options) *Cleaner {
	if o.OnAction == nil {
		o.OnAction = func(Action) {}
	}
	if o.OnMalformed == nil {
		o.OnMalformed = func(string) {}
	}
	if o.OnStillFlowing == nil {
		o.OnStillFlowing = func(buffer.Session) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Cleaner{store: store, o: o}
}

// Plan decides, hands each action to visit, and changes nothing.
func (c *Cleaner) Plan(ctx context.Context, visit func(Action)) (Report, error) {
	r, err := c.decide(ctx, true, visit)
	if err != nil {
		return r.report, err
	}
	counts, _, err := r.counts(ctx)
	if err != nil {
		return r.report, err
	}
	r.report.Brake = c.o.Brake.Judge(counts)
	r.report.SessionsExpired, r.report.SessionsAbandoned = r.report.SessionsStale, r.quiet
	r.report.StreamsRetired, r.report.NamesDropped = r.retirable, r.droppable
	err = r.restorable(ctx, func(name, reason string) error {
		r.report.StreamsRestored++
		visit(Action{Kind: Restore, Stream: name, Reason: reason})
		return nil
	}, func(buffer.Return) error { return nil })
	r.tell()
	return r.report, err
}

// Run decides and acts. The error says what broke the run off; single items
// that failed are counted in the report.
func (c *Cleaner) Run(ctx context.Context) (Report, error) {
	var seen examples
	r, err := c.decide(ctx, false, seen.add)
	if err == nil && !r.allLayouts && r.retirable+r.droppable > 0 {
		// A stream may be retired only if no layout has a session for it.
		seen = examples{}
		r, err = c.decide(ctx, true, seen.add)
	}
	stopped := false
	if err == nil {
		stopped, err = r.brake(ctx)
	}
	if r.report.Brake != "" {
		r.tellHeld(seen)
	}
	if err == nil && !stopped {
		err = r.act(ctx)
	}
	if err == nil {
		err = r.abandon(ctx)
	}
	// What came back is listed again even though the run failed.
	if !buffer.IsLost(err) {
		err = errors.Join(err, r.restore(ctx))
	}
	r.tell()
	if err != nil {
		return r.report, err
	}
	if err := r.noteSightings(ctx); err != nil || stopped {
		return r.report, err
	}
	return r.report, r.leave(ctx)
}

// keysEvery is how often the keyspace is walked for sessions while none was
// found there.
const keysEvery = time.Hour

// keysDue reports whether a run has to walk the keyspace for sessions.
func (c *Cleaner) keysDue(now time.Time) bool {
	return !c.store.DetectsLayouts() || c.keysFound || c.keysLooked.IsZero() || now.Sub(c.keysLooked) >= keysEvery
}
