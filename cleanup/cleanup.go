package cleanup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// Store is what clean-up needs of the stream buffer.
type Store interface {
	Now(context.Context) (time.Time, error)
	Owns(stream string) bool

	WalkSessions(ctx context.Context, visit func([]buffer.Session) error) error
	SessionsExist(context.Context, []buffer.Session) (bool, error)
	Expire(context.Context, []buffer.Session) ([]bool, error)

	CountStreams(context.Context) (int64, error)
	WalkStreams(ctx context.Context, visit func(names []string) error) error
	Infos(ctx context.Context, names []string) ([]buffer.StreamInfo, error)
	Listed(ctx context.Context, names []string) ([]bool, error)
	Returned(ctx context.Context, visit func(names []string) error) error
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
	SetHeld(context.Context, buffer.Facts) error
}

// Options of a [Cleaner]. Functions may be nil.
type Options struct {
	Limits Limits
	Brake  Brake
	// Force carries out what the brake would stop.
	Force bool

	// OnAction is told of each action that was carried out.
	OnAction func(Action)
	// OnMalformed is told the kind of what is not as the protocol says.
	OnMalformed func(kind string)
	Log         *slog.Logger
}

// Report is what one run did, or what it would do.
type Report struct {
	Sessions          int64 // all that are ours
	SessionsLive      int64
	SessionsStale     int64
	SessionsMalformed int64
	SessionsExpired   int64
	SessionsAbandoned int64
	Streams           int64 // names in the set that are ours
	StreamsRetired    int64
	StreamsRestored   int64
	NamesDropped      int64
	Errors            int64
	// Brake is why nothing was removed, "" if the brake did not trip.
	Brake string
}

// Cleaner cleans up, run after run. It is not safe for concurrent use.
type Cleaner struct {
	store Store
	o     Options
}

// New makes a cleaner over a store.
func New(store Store, o Options) *Cleaner {
	if o.OnAction == nil {
		o.OnAction = func(Action) {}
	}
	if o.OnMalformed == nil {
		o.OnMalformed = func(string) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Cleaner{store: store, o: o}
}

// Plan decides, hands each action to visit, and changes nothing.
func (c *Cleaner) Plan(ctx context.Context, visit func(Action)) (Report, error) {
	r, err := c.begin(ctx, visit)
	if err != nil {
		return r.report, err
	}
	counts := r.counts()
	if counts.LeftSessions, counts.LeftStreams, _, err = r.memory(ctx); err != nil {
		return r.report, err
	}
	r.report.Brake = c.o.Brake.Judge(counts)
	r.report.SessionsExpired = r.report.SessionsStale
	r.report.StreamsRetired, r.report.NamesDropped = r.retirable, r.droppable
	return r.report, r.planRestores(ctx, visit)
}

// Run decides and acts. The error says what broke the run off; single items
// that failed are counted in the report.
func (c *Cleaner) Run(ctx context.Context) (Report, error) {
	r, err := c.begin(ctx, func(Action) {})
	if err != nil {
		return r.report, r.restoreAfter(ctx, err)
	}
	stopped, err := r.brake(ctx)
	if err != nil {
		return r.report, err
	}
	if !stopped {
		if err := r.act(ctx); err != nil {
			return r.report, r.restoreAfter(ctx, err)
		}
	}
	if err := r.restore(ctx); err != nil {
		return r.report, err
	}
	if err := r.noteSightings(ctx); err != nil || stopped {
		return r.report, err
	}
	return r.report, c.store.SetLeft(ctx, buffer.Facts{
		leftSessions: r.hashSessions - r.hashExpired,
		leftStreams:  r.report.Streams - r.report.StreamsRetired - r.report.NamesDropped + r.report.StreamsRestored,
	})
}

// restoreAfter lists again what came back although the run failed, if Redis
// can be reached.
func (r *run) restoreAfter(ctx context.Context, failure error) error {
	if buffer.IsLost(failure) {
		return failure
	}
	return errors.Join(failure, r.restore(ctx))
}

// run is one clean-up.
type run struct {
	*Cleaner
	now    time.Time
	report Report
	owned  *owners
	// What the first walk counted.
	retirable, droppable      int64
	hashSessions, hashExpired int64
	// expired are the sessions that this run removed, by the stream they
	// named, to be looked for once more before the stream is retired.
	expired map[string][]buffer.Session
	// watched are names that were seen without an entry for the first time.
	watched []string
	records int
}

// begin walks sessions and streams once, and decides.
func (c *Cleaner) begin(ctx context.Context, visit func(Action)) (*run, error) {
	r := &run{Cleaner: c, expired: make(map[string][]buffer.Session)}
	var err error
	if r.now, err = c.store.Now(ctx); err != nil {
		return r, err
	}
	if err := r.newOwners(ctx); err != nil {
		return r, err
	}
	if err := c.store.WalkSessions(ctx, func(page []buffer.Session) error {
		r.decideSessions(page, visit)
		return nil
	}); err != nil {
		return r, fmt.Errorf("nothing removed, as not all sessions could be read: %w", err)
	}
	if err := c.store.WalkStreams(ctx, func(names []string) error {
		r.report.Streams += int64(len(names))
		return r.decideStreams(ctx, names, func(name string, info buffer.StreamInfo, fate Fate, reason string) error {
			r.countFate(name, fate)
			if fate == Retirable || fate == Droppable {
				visit(streamAction(name, info, fate, reason))
			}
			return nil
		})
	}); err != nil {
		return r, fmt.Errorf("nothing removed, as not all streams could be read: %w", err)
	}
	return r, nil
}

func (r *run) newOwners(ctx context.Context) error {
	streams, err := r.store.CountStreams(ctx)
	if err != nil {
		return err
	}
	r.owned = newOwners(streams)
	return nil
}

// ours reports whether a session may be looked at and changed.
func (r *run) ours(s buffer.Session) bool { return !s.HasStream || r.store.Owns(s.Stream) }

func (r *run) decideSessions(page []buffer.Session, visit func(Action)) {
	for _, s := range page {
		if !r.ours(s) {
			continue
		}
		r.report.Sessions++
		if s.Layout != buffer.LayoutKeys {
			r.hashSessions++
		}
		life, reason := JudgeSession(s, r.o.Limits, r.now)
		switch life {
		case Stale:
			r.report.SessionsStale++
			visit(sessionAction(s, reason))
			continue
		case Malformed:
			r.report.SessionsMalformed++
			r.o.OnMalformed("session")
			r.o.Log.Debug("malformed session: left alone", "session", buffer.Escape(s.Identity), "reason", reason)
		default:
			r.report.SessionsLive++
		}
		if s.HasStream {
			r.owned.add(s.Stream)
		}
	}
}

// decideStreams judges the streams of a page that no session names.
func (r *run) decideStreams(ctx context.Context, names []string,
	visit func(name string, info buffer.StreamInfo, fate Fate, reason string) error,
) error {
	var alone []string
	for _, name := range names {
		if !r.owned.has(name) {
			alone = append(alone, name)
		}
	}
	if len(alone) == 0 {
		return nil
	}
	infos, err := r.store.Infos(ctx, alone)
	if err != nil {
		return err
	}
	sighted, err := r.store.Sightings(ctx, alone)
	if err != nil {
		return err
	}
	for i, name := range alone {
		if infos[i].Err != nil {
			r.report.Errors++
			r.o.Log.Debug("stream not judged", "stream", buffer.Escape(name), "error", infos[i].Err)
		}
		fate, reason := JudgeStream(StreamFacts{name, infos[i], sighted[i]}, r.o.Limits, r.now)
		if err := visit(name, infos[i], fate, reason); err != nil {
			return err
		}
	}
	return nil
}

// maxWatched is how many names one run notes as seen without an entry; those
// beyond are noted by later runs.
const maxWatched = 10_000

func (r *run) countFate(name string, fate Fate) {
	switch fate {
	case Watch:
		if len(r.watched) < maxWatched {
			r.watched = append(r.watched, name)
		}
	case Retirable:
		r.retirable++
	case Droppable:
		r.droppable++
	case WrongType:
		r.o.OnMalformed("stream_type")
	case WrongID:
		r.o.OnMalformed("stream_id")
	}
}

func (r *run) counts() Counts {
	return Counts{
		Sessions: r.report.Sessions, Expire: r.report.SessionsStale,
		Streams: r.report.Streams, Retire: r.retirable + r.droppable,
		HashSessions: r.hashSessions,
	}
}

func sessionAction(s buffer.Session, reason string) Action {
	return Action{Kind: Expire, Session: s.Identity, Stream: s.Stream, Reason: reason, Updated: s.Updated}
}

func streamAction(name string, info buffer.StreamInfo, fate Fate, reason string) Action {
	a := Action{Kind: Retire, Stream: name, Reason: reason}
	if fate == Droppable {
		a.Kind = DropName
	}
	if !info.LastID.IsZero() {
		a.Updated = info.LastID.Time()
	}
	return a
}
