package cleanup

import (
	"context"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/burst"
)

// Bounds of the look for stale sessions among the newest messages.
const (
	// maxAsked is how many stale sessions a run looks for.
	maxAsked = 1000
	// newest is how many messages of a stream are looked at.
	newest = 10
)

// stillFlow reports, of stale sessions, whose messages still flow: their
// producers forget to update the registry, or do so too rarely.
func (r *run) stillFlow(ctx context.Context, stale []buffer.Session) ([]bool, error) {
	flows := make([]bool, len(stale))
	byStream := make(map[string][]int)
	var streams []string
	for i, s := range stale {
		if !s.HasStream || s.ID == "" || r.asked >= maxAsked {
			continue
		}
		r.asked++
		if byStream[s.Stream] == nil {
			streams = append(streams, s.Stream)
		}
		byStream[s.Stream] = append(byStream[s.Stream], i)
	}
	marks, err := r.store.Newest(ctx, streams, newest)
	if err != nil {
		return nil, err
	}
	for k, stream := range streams {
		for _, i := range byStream[stream] {
			fresh := freshOf(marks[k], stale[i].ID, r.o.Limits.ExpireAfter/2, r.now)
			if flows[i], err = r.flows(ctx, stale[i], fresh); err != nil {
				return nil, err
			}
		}
	}
	return flows, nil
}

// freshOf are those of the messages that are a session's and younger than limit.
func freshOf(marks []buffer.Mark, session string, limit time.Duration, now time.Time) []buffer.Mark {
	var fresh []buffer.Mark
	for _, m := range marks {
		if m.Session == session && isFresh(m.ID, limit, now) {
			fresh = append(fresh, m)
		}
	}
	return fresh
}

// flows reports whether fresh messages of a session are its producer's. What
// told its readers that it is abandoned is not.
func (r *run) flows(ctx context.Context, s buffer.Session, fresh []buffer.Mark) (bool, error) {
	if len(fresh) == 0 {
		return false, nil
	}
	jsons, err := r.store.SessionJSONs(ctx, []buffer.Session{s})
	if err != nil || burst.State([]byte(jsons[0])) != burst.StateAbandoned {
		return true, err
	}
	return r.flowsBeside(ctx, s, jsons[0], fresh)
}

// flowsBeside reports whether one of a session's messages holds anything beside
// the Session JSON that marks it as abandoned.
func (r *run) flowsBeside(ctx context.Context, s buffer.Session, marked string, messages []buffer.Mark) (bool, error) {
	for _, m := range messages {
		peeked, err := r.peek(ctx, buffer.Peek{Stream: s.Stream, From: m.ID, Last: true, Before: m.ID.Next()})
		if err != nil {
			return true, err
		}
		if burst.PackedSessionJSON(dataOf(peeked), []byte(marked)) == burst.Auto {
			return true, nil
		}
	}
	return false, nil
}

// isFresh reports whether a message is younger than limit, which is the time in
// which a producer must update its session: the newest messages of a session
// that has ended stay its own for ever. Ids that are not times say nothing, and
// count as fresh.
func isFresh(id buffer.ID, limit time.Duration, now time.Time) bool {
	return !id.IsTime(now) || now.Sub(id.Time()) <= limit
}
