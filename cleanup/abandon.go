package cleanup

import (
	"context"
	"errors"
	"slices"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// AbandonStore is what is needed of the stream buffer to mark sessions as abandoned.
type AbandonStore interface {
	SessionJSONs(context.Context, []registry.Session) ([]string, error)
	// MaySetJSON says why no Session JSON can be set.
	MaySetJSON(context.Context) error
	HoldsJSON(ctx context.Context, s registry.Session, json string) (bool, error)
	SetJSON(ctx context.Context, s registry.Session, old, updated string) (bool, error)
	AppendIfSilent(ctx context.Context, s registry.Session, data []byte, silence buffer.Silence) (buffer.Appending, error)
	Peeks(context.Context, []buffer.PeekRequest) ([]buffer.PeekResult, error)
}

// quietVerdict is what becomes of a session that stays although it is quiet.
type quietVerdict struct {
	session *registry.Session
	// json is its Session JSON, and marked what that is to become.
	json, marked string
	// state is Flowing or Postponed; else the session is to be marked.
	state  State
	reason string
	sessionMessages
}

func (q quietVerdict) action() Action {
	s := q.session
	return Action{Kind: Abandon, Session: s.Identity, Stream: s.Stream, Reason: q.reason, Updated: s.Updated}
}

// jsonBatch is how many Session JSONs are in memory together.
const jsonBatch = 64

// mayBeQuiet reports whether the Session JSON of a session that stays is to be
// looked into. Without a stream and an id that its messages can have, nothing
// can be said about it.
func (r *run) mayBeQuiet(s *registry.Session) bool {
	return r.o().Limits.isQuiet(*s, r.now) && hasPlainID(s)
}

// eachQuiet visits those of the quiet sessions that somebody may be waiting for
// in vain.
func (r *run) eachQuiet(ctx context.Context, quiet []registry.Session, visit func(quietVerdict) error) error {
	if may, err := r.mayMark(ctx, quiet); !may || err != nil {
		return err
	}
	for part := range slices.Chunk(quiet, jsonBatch) {
		open, err := r.openOf(ctx, part)
		if err != nil {
			return err
		}
		for i := range open {
			open[i].sessionMessages, err = r.messagesOf(ctx, open[i].session, r.o().Limits.AbandonAfter, open[i].marked)
			if err != nil {
				return err
			}
			q := &open[i]
			_, q.state, q.reason = JudgeQuiet(*q.session, burst.State([]byte(q.json)), q.Messages, r.o().Limits, r.now)
		}
		if open, err = r.withTakers(ctx, open); err != nil {
			return err
		}
		for _, q := range open {
			if err := visit(q); err != nil {
				return err
			}
		}
	}
	return nil
}

// mayMark reports whether sessions can be marked at all, and says once a run why
// not.
func (r *run) mayMark(ctx context.Context, quiet []registry.Session) (bool, error) {
	if len(quiet) == 0 || r.acted.unmarkable {
		return false, nil
	}
	err := r.store.MaySetJSON(ctx)
	if errors.Is(err, registry.ErrTimeToLive) {
		r.acted.unmarkable = true
		r.record.log.Warn("skipped marking sessions abandoned", "reason", err)
		return false, nil
	}
	return err == nil, err
}

// openOf are those of the sessions that are open or waiting. The look at their
// streams is begun.
func (r *run) openOf(ctx context.Context, quiet []registry.Session) ([]quietVerdict, error) {
	jsons, err := r.store.SessionJSONs(ctx, quiet)
	if err != nil {
		return nil, err
	}
	var open []quietVerdict
	var sessions []registry.Session
	for i := range quiet {
		marked, ok := burst.Abandon([]byte(jsons[i]))
		if !ok {
			continue
		}
		open = append(open, quietVerdict{session: &quiet[i], json: jsons[i], marked: string(marked)})
		sessions = append(sessions, quiet[i])
	}
	return open, r.flows.start(ctx, sessions)
}

// withTakers leaves out those that are to be marked and whose stream takes no
// message of ours.
func (r *run) withTakers(ctx context.Context, open []quietVerdict) ([]quietVerdict, error) {
	streams := make([]string, len(open))
	for i, q := range open {
		streams[i] = q.session.Stream
	}
	infos, err := r.store.Infos(ctx, streams)
	if err != nil {
		return nil, err
	}
	taking := open[:0]
	for i, q := range open {
		if q.state != "" || takesMessages(infos[i], r) {
			taking = append(taking, q)
		}
	}
	return taking, nil
}

// takesMessages reports whether a message of ours does no harm to a stream, or
// will not be sent because there is none: where ids are not times, one that
// Redis gives would spoil them.
func takesMessages(info buffer.StreamInfo, r *run) bool {
	switch {
	case info.Err != nil:
		return false
	case info.Exists():
		return info.LastID.IsZero() || info.LastID.IsTime(r.now)
	}
	return info.Type == "none"
}

// countQuiet counts a quiet session in the first scan.
func (r *run) countQuiet(q quietVerdict) {
	switch {
	case q.state == Postponed:
		r.record.postponed++
	case q.state == Flowing && !q.unsure:
		r.countQuietFlowing(q)
	case r.paused(q.session.Stream):
		r.report.SessionsPaused++
	default:
		r.found.abandon++
	}
}

// countQuietFlowing counts a session whose messages arrive and that lives by its
// time; older ones are counted already.
func (r *run) countQuietFlowing(q quietVerdict) {
	if live := r.now.Sub(q.session.Updated) <= r.o().Limits.ExpireAfter; live && (!r.second || q.arrival.seenAgain()) {
		q.arrival.live = true
		r.report.SessionsLive--
		r.countFlowing(q.session, q.arrival)
	}
}

// abandon marks a session. Nothing is removed by it, so the guard does not
// matter.
func (r *run) abandon(ctx context.Context, q quietVerdict) error {
	if q.state == Flowing {
		r.countQuietFlowing(q)
	}
	if q.state != "" || r.acted.noMemory {
		return nil
	}
	if err := r.readPauses(ctx); err != nil || r.paused(q.session.Stream) {
		return err
	}
	done, err := r.mark(ctx, q)
	switch {
	case redisconn.IsLost(err):
		return err
	case err != nil:
		r.report.Errors++
		class := redisconn.ClassOf(err)
		r.record.log.Warn("session not marked as abandoned", "session", buffer.Escape(q.session.Identity), "class", string(class), "error", err)
		// Redis refuses what grows, whatever session it is about. A later run
		// goes on.
		r.acted.noMemory = class == redisconn.ClassOOM
	case done:
		r.report.SessionsAbandoned++
		r.record.action(q.action())
	}
	return nil
}

// mark tells a session's stream, and then its entry, that it is abandoned. A
// run that is killed in between is followed by one that does the rest. Where
// another session has its id and messages, their readers could not tell whom a
// message of ours is about: only the entry is marked.
func (r *run) mark(ctx context.Context, q quietVerdict) (done bool, err error) {
	if q.anothers {
		return r.store.SetJSON(ctx, *q.session, q.json, q.marked)
	}
	enc, err := r.encodingFor(ctx, q)
	if err != nil {
		return false, err
	}
	if enc != burst.Auto && !q.told {
		if told, err := r.appendMarked(ctx, q, enc); !told || err != nil {
			return false, err
		}
	}
	return r.store.SetJSON(ctx, *q.session, q.json, q.marked)
}

// appendMarked appends the marked Session JSON to the stream, if there is one. It
// reports false if the session turns out to be alive.
func (r *run) appendMarked(ctx context.Context, q quietVerdict, enc burst.Encoding) (bool, error) {
	data, err := burst.PackSessionJSON(enc, []byte(q.marked))
	if err != nil {
		return false, err
	}
	// The entry was read a page ago; the server cannot compare it and append in
	// one step, as the two are different keys.
	if holds, err := r.store.HoldsJSON(ctx, *q.session, q.json); !holds || err != nil {
		return false, err
	}
	end, err := r.store.AppendIfSilent(ctx, *q.session, data, buffer.Silence{
		After: r.flows.newestOf(q.session.Stream), Since: r.now.Add(-r.o().Limits.AbandonAfter), Now: r.now,
	})
	return end != buffer.NotAppended, err
}
