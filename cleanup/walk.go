package cleanup

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/burst"
)

// run is one clean-up.
type run struct {
	*Cleaner
	now    time.Time
	report Report
	faults map[string]*tally

	// allLayouts: the sessions were looked for in every layout; complete:
	// both walks of the decision came to their ends.
	allLayouts, complete bool
	// owned are the streams that sessions name, leaving those that stale
	// sessions name.
	owned, leaving *owners
	// unsure are owned streams that were not looked up in the set yet, and
	// unlisted those that were not in it.
	unsure, unlisted []string

	// What the first walk counted.
	retirable, droppable    int64
	hashSessions, hashStale int64
	hashExpired             int64
	// asked is how many stale sessions were looked for among the messages.
	asked int
	// expired are the sessions that this run removed, by the stream they
	// named, to be looked for once more before the stream is retired.
	expired    map[string][]buffer.Session
	remembered int
	// watched are names that were seen without an entry for the first time.
	watched []string
	records int
	// quiet is how many sessions the first walk found to be marked as
	// abandoned.
	quiet int64
	// checker finds out how messages are packed, and usual is how they are in
	// most streams, nil until it is asked for.
	checker burst.Checker
	usual   *burst.Encoding
	// letGo: the brake let go of the decision that is carried out.
	letGo bool
}

// decide walks sessions and streams once. Unless all layouts are asked for,
// the keyspace is walked for sessions only when that is due.
func (c *Cleaner) decide(ctx context.Context, all bool, visit func(Action)) (*run, error) {
	r := &run{Cleaner: c, expired: make(map[string][]buffer.Session), faults: make(map[string]*tally)}
	var err error
	if r.now, err = c.store.Now(ctx); err != nil {
		return r, err
	}
	r.allLayouts = all || c.keysDue(r.now)
	streams, err := c.store.CountStreams(ctx)
	if err != nil {
		return r, err
	}
	r.owned, r.leaving = newOwners(streams), newOwners(streams)
	if err := r.walkSessions(ctx, func(page []buffer.Session) error { return r.decideSessions(ctx, page, visit) }); err != nil {
		return r, fmt.Errorf("nothing removed, as not all sessions could be read: %w", err)
	}
	if err := r.lookUp(ctx); err != nil {
		return r, err
	}
	if err := c.store.WalkStreams(ctx, func(names []string) error {
		r.report.Streams += int64(len(names))
		return r.decideStreams(ctx, names, func(f StreamFacts, fate Fate, reason string) error {
			r.countFate(f, fate)
			if fate == Retirable || fate == Droppable {
				visit(r.streamAction(f, fate, reason))
			}
			return nil
		})
	}); err != nil {
		return r, fmt.Errorf("nothing removed, as not all streams could be read: %w", err)
	}
	r.complete = true
	return r, nil
}

// walkSessions walks the layouts that this run looks into, and keeps in mind
// whether the keyspace holds any session.
func (r *run) walkSessions(ctx context.Context, visit func([]buffer.Session) error) error {
	if !r.allLayouts {
		return r.store.WalkHashSessions(ctx, visit)
	}
	found := false
	err := r.store.WalkSessions(ctx, func(page []buffer.Session) error {
		found = found || len(page) > 0 && page[0].HasOwnKey()
		return visit(page)
	})
	if err == nil {
		r.keysLooked, r.keysFound = r.now, found
	}
	return err
}

// ours reports whether a session may be looked at and changed.
func (r *run) ours(s buffer.Session) bool { return !s.HasStream || r.store.Owns(s.Stream) }

func (r *run) decideSessions(ctx context.Context, page []buffer.Session, visit func(Action)) error {
	var stale, quiet []buffer.Session
	for _, s := range page {
		if !r.ours(s) {
			continue
		}
		r.report.Sessions++
		if !s.HasOwnKey() {
			r.hashSessions++
		}
		life, reason := JudgeSession(s, r.o.Limits, r.now)
		switch life {
		case Stale:
			stale = append(stale, s)
			continue
		case Malformed:
			r.report.SessionsMalformed++
			r.fault(KindSession, s.Identity+": "+reason)
		default:
			r.report.SessionsLive++
			if r.mayBeQuiet(s) {
				quiet = append(quiet, s)
			}
		}
		r.own(s)
	}
	if err := r.decideStale(ctx, stale, visit); err != nil {
		return err
	}
	if err := r.decideQuiet(ctx, quiet, visit); err != nil {
		return err
	}
	if len(r.unsure) >= lookUpBatch {
		return r.lookUp(ctx)
	}
	return nil
}

func (r *run) decideStale(ctx context.Context, stale []buffer.Session, visit func(Action)) error {
	flows, err := r.stillFlow(ctx, stale)
	if err != nil {
		return err
	}
	for i, s := range stale {
		r.report.SessionsStale++
		if !s.HasOwnKey() {
			r.hashStale++
		}
		if s.HasStream {
			r.leaving.add(s.Stream)
		}
		_, reason := JudgeSession(s, r.o.Limits, r.now)
		if flows[i] {
			r.report.SessionsFlowing++
			r.fault(stillFlowing, s.Identity)
			r.o.OnStillFlowing(s)
			reason += "; but its messages still flow"
		}
		visit(sessionAction(s, reason))
	}
	return nil
}

// Bounds of what is kept in mind of streams that sessions name.
const (
	lookUpBatch = 1000
	maxUnlisted = 10_000
)

// own notes that a session names its stream.
func (r *run) own(s buffer.Session) {
	if !s.HasStream || r.owned.has(s.Stream) {
		return
	}
	r.owned.add(s.Stream)
	if len(r.unlisted) < maxUnlisted {
		r.unsure = append(r.unsure, strings.Clone(s.Stream))
	}
}

// lookUp finds the streams that a session names but the set does not list.
func (r *run) lookUp(ctx context.Context) error {
	listed, err := r.store.Listed(ctx, r.unsure)
	if err != nil {
		return err
	}
	for i, name := range r.unsure {
		if !listed[i] {
			r.unlisted = append(r.unlisted, name)
		}
	}
	r.unsure = r.unsure[:0]
	return nil
}

// decideStreams judges the streams of a page that no session names.
func (r *run) decideStreams(ctx context.Context, names []string, visit func(StreamFacts, Fate, string) error) error {
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
		facts := StreamFacts{name, infos[i], sighted[i]}
		fate, reason := JudgeStream(facts, r.o.Limits, r.now)
		if err := visit(facts, fate, reason); err != nil {
			return err
		}
	}
	return nil
}

// maxWatched is how many names one run notes as seen without an entry; those
// beyond are noted by later runs.
const maxWatched = 10_000

func (r *run) countFate(f StreamFacts, fate Fate) {
	switch fate {
	case Unknown:
		r.report.Errors++
		r.o.Log.Warn("stream not judged", "stream", buffer.Escape(f.Name), "class", string(buffer.ClassOf(f.Info.Err)), "error", f.Info.Err)
	case Watch:
		if f.Sighted.IsZero() && len(r.watched) < maxWatched {
			r.watched = append(r.watched, f.Name)
		}
	case Retirable:
		r.retirable++
	case Droppable:
		r.droppable++
	case WrongType:
		r.fault(KindStreamType, f.Name+": "+f.Info.Type)
	case WrongID:
		r.fault(KindStreamID, f.Name+": "+f.Info.LastID.String())
	case Keep:
	}
}

func sessionAction(s buffer.Session, reason string) Action {
	return Action{Kind: Expire, Session: s.Identity, Stream: s.Stream, Reason: reason, Updated: s.Updated}
}

func (r *run) streamAction(f StreamFacts, fate Fate, reason string) Action {
	a := Action{Kind: Retire, Stream: f.Name, Reason: reason}
	if fate == Droppable {
		a.Kind = DropName
	}
	if !f.Info.LastID.IsZero() {
		a.Updated = f.Info.LastID.Time()
	}
	if r.leaving.has(f.Name) {
		a.After = "the expiry of its last session"
		a.Reason += ", after " + a.After
	}
	return a
}
