package cleanup

import (
	"context"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
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
			flows[i] = slices.ContainsFunc(marks[k], func(m buffer.Mark) bool {
				return m.Session == stale[i].ID && isFresh(m.ID, r.o.Limits.ExpireAfter/2, r.now)
			})
		}
	}
	return flows, nil
}

// isFresh reports whether a message is younger than limit, which is the time in
// which a producer must update its session: the newest messages of a session
// that has ended stay its own for ever. Ids that are not times say nothing, and
// count as fresh.
func isFresh(id buffer.ID, limit time.Duration, now time.Time) bool {
	return !id.IsTime(now) || now.Sub(id.Time()) <= limit
}
