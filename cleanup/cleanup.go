// Package cleanup decides which sessions have expired and which streams are
// dead, and removes them so that nothing that is still in use can go.
//
// A run scans the sessions twice. The first scan decides and counts; the
// mass-deletion guard judges the counts; the second scan decides again, page by
// page, and acts. Memory does not grow with the number of sessions. A dry run
// is the same over a store that records writes instead of sending them.
package cleanup

import (
	"context"
	"log/slog"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst"
)

// Store is what clean-up needs of the stream buffer, which is a [buffer.Buffer]. What
// is about sessions it has of the [registry.Registry] in it.
type Store interface {
	Now(context.Context) (time.Time, error)
	Owns(stream string) bool
	// Scope tells apart what counts are of: keys, layouts, patterns.
	Scope() int64

	DetectsLayouts() bool
	WalkSessions(ctx context.Context, visit func([]registry.Session) error) error
	WalkHashSessions(ctx context.Context, visit func([]registry.Session) error) error
	SessionsExist(context.Context, []registry.Session) (bool, error)
	Expire(context.Context, []registry.Session, registry.Expiring) ([]registry.Expiry, error)
	copyStore
	AbandonStore
	looker

	CountStreams(context.Context) (int64, error)
	WalkStreams(ctx context.Context, visit func(names []string) error) error
	WalkStreamKeys(ctx context.Context, visit func(names []string) error) error
	Infos(ctx context.Context, names []string) ([]buffer.StreamInfo, error)
	Listed(ctx context.Context, names []string) ([]bool, error)
	Retired(ctx context.Context, names []string) ([]bool, error)
	Returned(ctx context.Context, visit func([]buffer.Return) error) error
	Forget(context.Context, buffer.Return) error
	Retire(ctx context.Context, stream string, lastID buffer.ID, groups buffer.GroupLimits) (buffer.Retirement, error)
	DropName(ctx context.Context, stream string) (buffer.Retirement, error)
	Restore(ctx context.Context, stream string) error
	restoreStore
	groupStore
	stateStore
}

// stateStore is what a run leaves for the next.
type stateStore interface {
	// UnusableState names the keys of our own that hold another type.
	UnusableState(context.Context) ([]string, error)
	Sightings(ctx context.Context, names []string) ([]time.Time, error)
	Sight(ctx context.Context, names []string, now time.Time) (bool, error)
	Unsight(ctx context.Context, names []string) error
	WalkSighted(ctx context.Context, visit func(names []string) error) error

	Left(context.Context) (buffer.StateFields, error)
	SetLeft(context.Context, buffer.StateFields) error
	Held(context.Context) (buffer.StateFields, error)
	SetHeld(context.Context, buffer.StateFields) (noted bool, err error)
}

// Options of a [Cleaner]. Functions may be nil.
type Options struct {
	Limits Limits
	// TimeAlone judges sessions by their time, whatever messages arrive.
	TimeAlone bool
	Guard     Guard
	// Force carries out what the guard would stop.
	Force bool
	// Undo says for how long expired sessions can be put back.
	Undo Undo
	// Scan looks in the whole keyspace for streams that are not listed.
	Scan bool
	// Encoding is how messages are framed; [burst.Auto] finds it by looking.
	Encoding burst.Encoding

	// Paused says of which streams nothing is removed now, sessions without a stream
	// being of the one without a name. It is asked before anything is removed and
	// again and again while a run lasts; an error ends the run. Nil for no stream.
	Paused func(context.Context) (func(stream string) bool, error)

	// OnAction is told of each action that was carried out.
	OnAction func(Action)
	// OnUnknown is told of each removal that may have been carried out: no reply came,
	// and why, or only a part of a stream went.
	OnUnknown func(error)
	// OnScan is told that the first scan begins. It may begin anew, for a run that first
	// looked into some of the layouts: what was said of the scan before does not count.
	OnScan func()
	// OnSession and OnStream are told what the first scan makes of each session,
	// which is theirs only during the call, and of each stream that no session
	// names.
	OnSession func(s *registry.Session, is State, reason string)
	// OnOthers is told of each session whose stream is left to others, likewise.
	OnOthers func(s *registry.Session)
	OnStream func(f StreamFacts, state StreamState, reason string)
	// OnMalformed is told the kind of what is not as the protocol says, once
	// for each such item of a run: one of [Kinds].
	OnMalformed func(kind string)
	Log         *slog.Logger
}

// The kinds of malformed items.
const (
	KindSession    = "session"
	KindStreamType = "stream_type"
	KindStreamID   = "stream_id"
	// KindUnlisted is a stream that the set does not list, and that may
	// belong to another application.
	KindUnlisted = "unlisted_stream"
	// KindState is a key under the state prefix that holds another type.
	KindState = "state_key"
)

// Kinds lists every kind, for metrics that start at 0.
var Kinds = []string{KindSession, KindStreamType, KindStreamID, KindUnlisted, KindState}

// Report is what one run did, or what it would do.
type Report struct {
	Sessions          int64 // all that are ours
	SessionsLive      int64
	SessionsStale     int64
	SessionsMalformed int64
	SessionsForeign   int64 // not among Sessions
	SessionsFlowing   int64 // not updated, but their messages arrive
	SessionsPostponed int64 // too old, but not looked at in this run
	SessionsExpired   int64
	SessionsAbandoned int64
	SessionsPutBack   int64 // by undo, since the last run
	Streams           int64 // names in the set that are ours
	StreamsRetired    int64
	StreamsRestored   int64
	StreamsPostponed  int64 // dead, but they wait for a later run
	NamesDropped      int64
	// SessionsPaused and StreamsPaused would have gone, or been marked, but for a
	// pause.
	SessionsPaused, StreamsPaused int64
	Unknown                       int64 // removals that may have been carried out
	Errors                        int64
	// Failed names some of the items that could not be judged or done.
	Failed []string
	// Guard is why nothing was removed, "" if the guard did not trip; it does so
	// since GuardSince, and until GuardUntil, zero for ever.
	Guard                  string
	GuardSince, GuardUntil time.Time
	// Held is what the guard holds back, nil if it did not trip.
	Held *Held
	// Lost says that the set of names is empty although nobody cleaned it up,
	// "" if it is not.
	Lost string
}

// Held is what a run would have removed but for the guard.
type Held struct {
	Expire, Retire, Drop int64
	// Examples are the first of each kind.
	Examples []Action
}

// Cleaner cleans up, run after run. It is not safe for concurrent use.
type Cleaner struct {
	store Store
	o     Options
	// keysLooked is when the keyspace was last scanned for sessions, and
	// keysFound whether one was found then.
	keysLooked time.Time
	keysFound  bool
	// memory is the decision that the guard holds back where Redis has no memory
	// to note it.
	memory heldInMemory
	// toldForeign: the log has said that there are foreign entries.
	toldForeign bool
	lookBounds  lookBounds
	// turns are what the last run left to the next.
	turns turns
	// streams is how many names the last run left.
	streams int64
	// copiesAtKeys: there may be copies of expired sessions at keys of their own.
	copiesAtKeys bool
	// putBackBefore is until when sessions that were put back are counted.
	putBackBefore time.Time
}

// New makes a cleaner over a store.
func New(store Store, o Options) *Cleaner {
	if o.Paused == nil {
		o.Paused = func(context.Context) (func(string) bool, error) { return func(string) bool { return false }, nil }
	}
	if o.OnAction == nil {
		o.OnAction = func(Action) {}
	}
	if o.OnUnknown == nil {
		o.OnUnknown = func(error) {}
	}
	if o.OnScan == nil {
		o.OnScan = func() {}
	}
	if o.OnSession == nil {
		o.OnSession = func(*registry.Session, State, string) {}
	}
	if o.OnOthers == nil {
		o.OnOthers = func(*registry.Session) {}
	}
	if o.OnStream == nil {
		o.OnStream = func(StreamFacts, StreamState, string) {}
	}
	if o.OnMalformed == nil {
		o.OnMalformed = func(string) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Cleaner{store: store, o: o, lookBounds: lookBounds{runBytes, runMemory}, copiesAtKeys: true}
}

// Run decides and acts. The error says what broke the run off; single items
// that failed are counted in the report.
func (c *Cleaner) Run(ctx context.Context) (Report, error) { return c.run(ctx, c.store, nil) }

// Plan is Run over a store that records writes instead of sending them. It
// hands each action to visit, those that the guard holds back too.
func (c *Cleaner) Plan(ctx context.Context, visit func(Action)) (Report, error) {
	return c.run(ctx, newDryStore(c.store), visit)
}

// keysEvery is how often the keyspace is scanned for sessions while none was
// found there.
const keysEvery = time.Hour

// keysDue reports whether a run has to scan the keyspace for sessions.
func (c *Cleaner) keysDue(now time.Time) bool {
	return !c.store.DetectsLayouts() || c.keysFound || c.keysLooked.IsZero() || now.Sub(c.keysLooked) >= keysEvery
}
