package cleanup

import (
	"context"
	"strings"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
)

// found is what the first scan found. Nothing beyond its counts is removed.
type found struct {
	// allLayouts: sessions were looked for in every layout; complete: the scans
	// came to their ends.
	allLayouts, complete bool
	// listed is how many names the set holds, ours and others'.
	listed   int64
	sessions sessionCounts
	// abandon, retire and drop count sessions, streams and names.
	abandon, retire, drop int64
	examples              examples
	// names are those of the sessions and streams that are to go.
	names sketch
	// unlisted are streams that live sessions name and the set does not hold.
	unlisted map[string]bool
	// watched are names that were seen without an entry for the first time.
	watched []string
	// groups have no consumers, and are not noted yet.
	groups []buffer.StreamGroup
}

// sessionCounts count sessions.
type sessionCounts struct {
	all, stale int64
	// paused are stale ones that a pause keeps.
	paused int64
	// lasting are those that do not expire by themselves, lastingStale those of
	// them that are stale.
	lasting, lastingStale int64
	// expiring: fields of the shared Hash expire by themselves, so that the last
	// run's count cannot be compared.
	expiring bool
	// open: one of the stale ones is not closed.
	open bool
}

// isLasting reports whether a session stays until somebody removes it.
func isLasting(s registry.Session) bool { return !s.SelfExpiring }

// decideSessions counts a page of the first scan.
func (r *run) decideSessions(ctx context.Context, page []registry.Session) error {
	stays := func(s *registry.Session, v verdict) {
		switch v.state {
		case Malformed:
			r.report.SessionsMalformed++
			r.record.fault(KindSession, s.Identity+": "+v.reason)
		default:
			r.report.SessionsLive++
		}
		r.own(s, v.state)
		r.o().OnSession(s, v.state, v.reason)
	}
	for i := range page {
		s := &page[i]
		// What cannot be read may own one of our streams, whichever it seems to name.
		r.unreadable.Add(*s)
		if !r.ours(s) {
			r.o().OnOthers(s)
			continue
		}
		r.found.sessions.all++
		switch {
		case isLasting(*s):
			r.found.sessions.lasting++
		case !s.HasOwnKey():
			r.found.sessions.expiring = true
		}
	}
	old, quiet, err := r.judgePage(ctx, page, stays)
	if err != nil {
		return err
	}
	r.report.Sessions = r.found.sessions.all
	var stale []registry.Session
	for _, v := range old {
		r.o().OnSession(v.session, v.state, v.reason)
		if r.countOld(v) {
			stale = append(stale, *v.session)
		}
	}
	if err := r.lookForOpen(ctx, stale); err != nil {
		return err
	}
	err = r.eachQuiet(ctx, quiet, func(q quietVerdict) error {
		r.countQuiet(q)
		return nil
	})
	r.flows.done()
	return err
}

// countOld counts a session whose time is too old, and reports whether it is to
// expire.
func (r *run) countOld(v verdict) (stale bool) {
	switch {
	case v.state == Flowing && !v.unsure:
		r.countFlowing(v.session, v.arrival)
		r.own(v.session, Flowing)
		return false
	case v.state == Postponed:
		r.report.SessionsPostponed++
		r.own(v.session, Postponed)
		return false
	case r.paused(v.session.Stream):
		// It is stale and stays: the guard does not count it.
		r.report.SessionsPaused++
		r.report.SessionsStale++
		r.found.sessions.paused++
		r.own(v.session, Stale)
		return false
	}
	r.countStale(isLasting(*v.session))
	r.found.names.add(Expire, string(v.session.Layout)+" "+v.session.Identity)
	if v.session.HasStream {
		r.streams.set(v.session.Stream, leaving)
	}
	if v.state == Stale {
		r.found.examples.add(sessionAction(v.session, v.reason))
	}
	return true
}

func (r *run) countStale(lasting bool) {
	r.found.sessions.stale++
	r.report.SessionsStale++
	if lasting {
		r.found.sessions.lastingStale++
	}
}

// countFlowing counts a session whose messages arrive, and names its producer.
func (r *run) countFlowing(s *registry.Session, a *arrival) {
	a.counted++
	r.report.SessionsFlowing++
	if kept := r.record.fault(flowing, s.Identity+" on "+s.Stream); kept != "" {
		a.named = append(a.named, kept)
	}
}

// maxOpenLook is how many stale sessions are looked into for one that is not
// closed.
const maxOpenLook = 1000

// lookForOpen looks for a stale session that is not closed, as long as all
// sessions may be stale. Where there are more, the guard goes by their share.
func (r *run) lookForOpen(ctx context.Context, stale []registry.Session) error {
	n := &r.found.sessions
	if n.open || n.stale < n.all-r.unjudged() || n.stale > max(maxOpenLook, r.o().Brake.Min) || r.o().Brake.Share >= 1 {
		return nil
	}
	open, err := r.anyOpen(ctx, stale)
	n.open = open
	return err
}

// unjudged are sessions of which this run does not say whether they are to expire:
// they say nothing for the others.
func (r *run) unjudged() int64 { return r.report.SessionsPostponed + r.found.sessions.paused }

// maxUnlisted is how many streams that sessions name and nobody lists are kept
// in mind; those beyond wait for a later run.
const maxUnlisted = 10_000

// own notes that a session that stays names its stream.
func (r *run) own(s *registry.Session, state State) {
	r.unreadable.Add(*s)
	if !s.HasStream || r.streams.set(s.Stream, owned) {
		return
	}
	if (state == Live || state == Flowing) && len(r.found.unlisted) < maxUnlisted && !r.found.unlisted[s.Stream] {
		r.found.unlisted[strings.Clone(s.Stream)] = true
	}
}

// walkAlone visits the listed streams that no session names, with what there is
// to know of each.
func (r *run) walkAlone(ctx context.Context, visit func(ctx context.Context, f StreamFacts) error) error {
	return r.store.WalkStreams(ctx, func(names []string) error {
		var alone []string
		for _, name := range names {
			if r.isAlone(name) {
				alone = append(alone, name)
			}
		}
		facts, err := r.factsOf(ctx, alone)
		if err != nil {
			return err
		}
		if err := r.readPauses(ctx); err != nil {
			return err
		}
		for _, f := range facts {
			if err := visit(ctx, f); err != nil {
				return err
			}
		}
		return nil
	})
}

// isAlone reports whether a stream is to be judged: in the second scan only
// those that the first decided on.
func (r *run) isAlone(name string) bool {
	if r.streams.has(name, owned) || r.unreadable.Blind() || r.holdsAll() || r.unreadable.MayOwn(name) {
		return false
	}
	return !r.flows.second || r.streams.has(name, dying)
}

func (r *run) factsOf(ctx context.Context, names []string) ([]StreamFacts, error) {
	if len(names) == 0 {
		return nil, nil
	}
	infos, err := r.store.Infos(ctx, names)
	if err != nil {
		return nil, err
	}
	sighted, err := r.store.Sightings(ctx, names)
	if err != nil {
		return nil, err
	}
	facts := make([]StreamFacts, len(names))
	for i, name := range names {
		facts[i] = StreamFacts{name, infos[i], sighted[i], r.groupsSince(name, infos[i].WithoutConsumers)}
	}
	return facts, nil
}

// maxWatched is how many names one run notes as seen without an entry; those
// beyond are noted by later runs.
const maxWatched = 10_000

// countStream counts what becomes of a stream that no session names.
func (r *run) countStream(_ context.Context, f StreamFacts) error {
	r.watchGroups(f)
	state, reason := JudgeStream(f, r.o().Limits, r.now)
	r.o().OnStream(f, state, reason)
	if (state == Retirable || state == Droppable) && r.paused(f.Name) {
		r.report.StreamsPaused++
		return nil
	}
	switch state {
	case Unknown:
		r.failed(f.Name, "stream not judged", f.Info.Err)
	case Watch:
		if f.Sighted.IsZero() && len(r.found.watched) < maxWatched {
			r.found.watched = append(r.found.watched, f.Name)
		}
	case Retirable:
		r.found.retire++
	case Droppable:
		r.found.drop++
	case WrongType:
		r.record.fault(KindStreamType, f.Name+": "+f.Info.Type)
	case WrongID:
		r.record.fault(KindStreamID, f.Name+": "+f.Info.LastID.String())
	case Keep:
	}
	if state == Retirable || state == Droppable {
		r.streams.set(f.Name, dying)
		r.found.names.add(Retire, f.Name)
		r.found.examples.add(r.streamAction(f, state, reason))
	}
	return nil
}

func sessionAction(s *registry.Session, reason string) Action {
	return Action{Kind: Expire, Session: s.Identity, Stream: s.Stream, Reason: reason, Updated: s.Updated}
}

func (r *run) streamAction(f StreamFacts, state StreamState, reason string) Action {
	a := Action{Kind: Retire, Stream: f.Name, Reason: reason}
	if state == Droppable {
		a.Kind = DropName
	}
	if !f.Info.LastID.IsZero() {
		a.Updated = f.Info.LastID.Time()
	}
	if r.streams.has(f.Name, leaving) {
		a.After = "the expiry of its last session"
		a.Reason += ", after " + a.After
	}
	return a
}
