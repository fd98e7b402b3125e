package cleanup

import (
	"context"
	"errors"
	"strings"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// This file takes the streams that no session names through both scans. countStream
// is the first scan's, retire the second's.

// listStreams reads the names of all streams.
func (r *run) listStreams(ctx context.Context) error {
	return r.store.WalkStreams(ctx, func(names []string) error {
		for _, name := range names {
			if r.streams.list(name) {
				r.report.Streams++
			}
		}
		return nil
	})
}

// scanUnnamed visits the listed streams that no session names, with what there is
// to know of each.
func (r *run) scanUnnamed(ctx context.Context, visit func(ctx context.Context, f StreamFacts) error) error {
	return r.store.WalkStreams(ctx, func(names []string) error {
		var unnamed []string
		for _, name := range names {
			if r.isUnnamed(name) {
				unnamed = append(unnamed, name)
			}
		}
		facts, err := r.factsOf(ctx, unnamed)
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

// isUnnamed reports whether no session can own a stream. In the second scan only
// those count that the first decided on.
func (r *run) isUnnamed(name string) bool {
	if r.streams.has(name, owned) || r.streams.unreadable.Blind() || r.holdsAll() || r.streams.unreadable.MayOwn(name) {
		return false
	}
	return !r.second || r.streams.has(name, dying)
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

// retire carries out what becomes of a stream that no session names.
func (r *run) retire(ctx context.Context, f StreamFacts) error {
	state, reason := JudgeStream(f, r.o().Limits, r.now)
	if state != Retirable && state != Droppable || r.report.StreamsRetired+r.report.NamesDropped >= r.found.retire+r.found.drop {
		return nil
	}
	if err := r.readPauses(ctx); err != nil {
		return err
	}
	switch {
	case r.paused(f.Name):
		r.report.StreamsPaused++
		return nil
	case r.streams.has(f.Name, later):
		r.report.StreamsPostponed++
		return nil
	}
	if back, err := r.cameBack(ctx, f.Name); err != nil || back {
		return err
	}
	var end buffer.Retirement
	var err error
	if state == Droppable {
		end, err = r.store.DropName(ctx, f.Name)
	} else {
		end, err = r.store.Retire(ctx, f.Name, f.Info.LastID, buffer.GroupLimits{
			IdleAfter: r.o().Limits.RetireAfter, Ignore: f.Info.WithoutConsumers,
		})
	}
	if end == buffer.NotKnown {
		return r.skip(f.Name, r.mayBeRetired(f.Name, err))
	}
	r.ended(r.streamAction(f, state, reason), end)
	return r.skip(f.Name, err)
}

// mayBeRetired records that a stream may have gone. That a part of one went which came
// back meanwhile is no failure.
func (r *run) mayBeRetired(stream string, err error) error {
	r.unknown(err)
	if errors.Is(err, buffer.ErrPartly) && !redisconn.IsLost(err) {
		r.record.log.Warn("removed a part of a stream", "stream", buffer.Escape(stream), "error", err)
		return nil
	}
	return err
}

// ended counts what became of a stream, and records it.
func (r *run) ended(a Action, end buffer.Retirement) {
	switch {
	case end == buffer.Kept, a.Kind == DropName && end != buffer.Retired && end != buffer.CameBack:
		return
	case a.Kind == DropName:
		r.report.NamesDropped++
	default:
		r.report.StreamsRetired++
	}
	r.record.action(a)
	if end == buffer.CameBack {
		r.report.StreamsRestored++
		r.record.action(Action{Kind: Restore, Stream: a.Stream, Reason: "its key returned while it was retired"})
	}
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

// expired is a session that was removed.
type expired struct {
	identity string
	layout   registry.Layout
}

// Bounds of what is kept in mind of expired sessions. The streams of those
// beyond wait for a later run.
const (
	maxExpiredBytes = 32 << 20
	expiredMemory   = 64 // beside its name
)

// rememberExpired keeps an expired session in mind if its stream is to be retired.
func (r *run) rememberExpired(s *registry.Session) {
	if !s.HasStream || !r.streams.has(s.Stream, dying) {
		return
	}
	bytes := expiredMemory + int64(len(s.Identity))
	if r.acted.bytes+bytes > maxExpiredBytes {
		r.streams.set(s.Stream, later)
		return
	}
	r.acted.bytes += bytes
	all, known := r.acted.expired[s.Stream]
	stream := s.Stream
	if !known {
		stream = strings.Clone(stream)
	}
	r.acted.expired[stream] = append(all, expired{strings.Clone(s.Identity), s.Layout})
}

// cameBack reports whether one of the sessions of a stream that this run has
// removed is there again.
func (r *run) cameBack(ctx context.Context, stream string) (bool, error) {
	gone := r.acted.expired[stream]
	if len(gone) == 0 {
		return false, nil
	}
	sessions := make([]registry.Session, len(gone))
	for i, e := range gone {
		sessions[i] = registry.Session{Identity: e.identity, Layout: e.layout}
	}
	return r.store.SessionsExist(ctx, sessions)
}
