package cleanup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// Marker is what is needed of the stream buffer to mark sessions as abandoned.
type Marker interface {
	SessionJSONs(context.Context, []buffer.Session) ([]string, error)
	HoldsJSON(ctx context.Context, s buffer.Session, json string) (bool, error)
	SetJSON(ctx context.Context, s buffer.Session, old, updated string) (bool, error)
	AppendIfSilent(ctx context.Context, s buffer.Session, data []byte, silence buffer.Silence) (buffer.Appending, error)
	Peeks(context.Context, []buffer.Peek) ([]buffer.Peeked, error)
}

// JudgeQuiet says whether a live session has not been updated for so long that
// nobody should wait for it any more, and why, given the state of its Session
// JSON.
func JudgeQuiet(s buffer.Session, state string, l Limits, now time.Time) (abandon bool, reason string) {
	if !l.isQuiet(s, now) || state != burst.StateOpen && state != burst.StateWaiting {
		return false, ""
	}
	return true, fmt.Sprintf("%s, not updated for %s (limit %s)", state, human.Duration(now.Sub(s.Updated)), human.Duration(l.AbandonAfter))
}

func (l Limits) isQuiet(s buffer.Session, now time.Time) bool {
	return l.AbandonAfter > 0 && now.Sub(s.Updated) > l.AbandonAfter
}

// abandonment is a session that is to be marked.
type abandonment struct {
	buffer.Session
	// json is its Session JSON, and marked what that is to become.
	json, marked string
	reason       string
}

func (a abandonment) action() Action {
	return Action{Kind: Abandon, Session: a.Identity, Stream: a.Stream, Reason: a.reason, Updated: a.Updated}
}

// mayBeQuiet reports whether the Session JSON of a live session is to be looked
// into. Without a stream and an id that its messages can have, nothing can be
// said about it.
func (r *run) mayBeQuiet(s buffer.Session) bool {
	if !r.o.Limits.isQuiet(s, r.now) || !s.HasStream {
		return false
	}
	_, err := strconv.ParseUint(s.ID, 10, 64)
	return err == nil
}

// decideQuiet decides which of the quiet sessions of a page are to be marked.
func (r *run) decideQuiet(ctx context.Context, quiet []buffer.Session, visit func(Action)) error {
	return r.eachAbandonment(ctx, quiet, func(a abandonment) error {
		r.quiet++
		visit(a.action())
		return nil
	})
}

// abandonBatch is how many quiet sessions are looked into at once: their
// Session JSONs are in memory together.
const abandonBatch = 64

// eachAbandonment visits those of the quiet sessions that are to be marked.
func (r *run) eachAbandonment(ctx context.Context, quiet []buffer.Session, visit func(abandonment) error) error {
	for part := range slices.Chunk(quiet, abandonBatch) {
		found, err := r.abandonments(ctx, part)
		if err != nil {
			return err
		}
		for _, a := range found {
			if err := visit(a); err != nil {
				return err
			}
		}
	}
	return nil
}

// abandonments are those of the quiet sessions that are open or waiting, and
// whose messages do not flow.
func (r *run) abandonments(ctx context.Context, quiet []buffer.Session) ([]abandonment, error) {
	jsons, err := r.store.SessionJSONs(ctx, quiet)
	if err != nil {
		return nil, err
	}
	var open []abandonment
	for i, s := range quiet {
		yes, reason := JudgeQuiet(s, burst.State([]byte(jsons[i])), r.o.Limits, r.now)
		if marked, ok := burst.Abandon([]byte(jsons[i])); yes && ok {
			open = append(open, abandonment{s, jsons[i], string(marked), reason})
		}
	}
	return r.silent(ctx, open)
}

// silent leaves out the sessions whose messages flow, and those whose stream
// takes no message of ours.
func (r *run) silent(ctx context.Context, open []abandonment) ([]abandonment, error) {
	streams := make([]string, len(open))
	for i, a := range open {
		streams[i] = a.Stream
	}
	infos, err := r.store.Infos(ctx, streams)
	if err != nil {
		return nil, err
	}
	marks, err := r.store.Newest(ctx, streams, newest)
	if err != nil {
		return nil, err
	}
	var silent []abandonment
	for i, a := range open {
		if !takesMessages(infos[i], r.now) {
			continue
		}
		// What a run that was killed has appended does not count.
		flows, err := r.flowsBeside(ctx, a.Session, a.marked, freshOf(marks[i], a.ID, r.o.Limits.AbandonAfter, r.now))
		if err != nil {
			return nil, err
		}
		if !flows {
			silent = append(silent, a)
		}
	}
	return silent, nil
}

// takesMessages reports whether a message of ours does no harm to a stream, or
// will not be sent because there is none: where ids are not times, one that
// Redis gives would spoil them.
func takesMessages(info buffer.StreamInfo, now time.Time) bool {
	switch {
	case info.Err != nil:
		return false
	case info.Exists():
		return info.LastID.IsZero() || info.LastID.IsTime(now)
	}
	return info.Type == "none"
}

// abandon marks the sessions that the first walk found. Nothing is removed by
// it, so the brake does not matter.
func (r *run) abandon(ctx context.Context) error {
	if r.quiet == 0 {
		return nil
	}
	err := r.walkSessions(ctx, func(page []buffer.Session) error {
		var quiet []buffer.Session
		for _, s := range page {
			if life, _ := JudgeSession(s, r.o.Limits, r.now); life == Live && r.ours(s) && r.mayBeQuiet(s) {
				quiet = append(quiet, s)
			}
		}
		return r.eachAbandonment(ctx, quiet, func(a abandonment) error { return r.abandonOne(ctx, a) })
	})
	if errors.Is(err, errNoMemory) {
		return nil
	}
	return err
}

// errNoMemory ends the marking: Redis refuses what grows, whatever session it
// is about. A later run goes on.
var errNoMemory = errors.New("out of memory")

func (r *run) abandonOne(ctx context.Context, a abandonment) error {
	done, err := r.mark(ctx, a)
	switch {
	case buffer.IsLost(err):
		return err
	case err != nil:
		r.report.Errors++
		class := buffer.ClassOf(err)
		r.o.Log.Warn("session not marked as abandoned", "session", buffer.Escape(a.Identity), "class", string(class), "error", err)
		if class == buffer.ClassOOM {
			return errNoMemory
		}
	case done:
		r.report.SessionsAbandoned++
		r.done(a.action())
	}
	return nil
}

// mark tells a session's stream, and then its entry, that it is abandoned. A
// run that is killed in between is followed by one that does the rest.
func (r *run) mark(ctx context.Context, a abandonment) (done bool, err error) {
	enc, err := r.packingFor(ctx, a)
	if err != nil {
		return false, err
	}
	if enc != burst.Auto {
		if told, err := r.tellStream(ctx, a, enc); !told || err != nil {
			return false, err
		}
	}
	return r.store.SetJSON(ctx, a.Session, a.json, a.marked)
}

// tellStream appends the marked Session JSON to the stream, if there is one. It
// reports false if the session turns out to be alive.
func (r *run) tellStream(ctx context.Context, a abandonment, enc burst.Encoding) (bool, error) {
	data, err := burst.PackSessionJSON(enc, []byte(a.marked))
	if err != nil {
		return false, err
	}
	// The entry was read a page ago; the server cannot compare it and append in
	// one step, as the two are different keys.
	if holds, err := r.store.HoldsJSON(ctx, a.Session, a.json); !holds || err != nil {
		return false, err
	}
	end, err := r.store.AppendIfSilent(ctx, a.Session, data, buffer.Silence{
		Newest: newest, Since: r.now.Add(-r.o.Limits.AbandonAfter), Now: r.now,
	})
	return end != buffer.NotAppended, err
}
