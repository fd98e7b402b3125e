package cleanup

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// find looks for so many messages of a session within a limit. It reports false
// if that cannot be known in this run.
func (f *flows) find(ctx context.Context, s *registry.Session, limit time.Duration, messages int) (a *arrival, known bool, err error) {
	g, asked := f.lastGlance(s.Stream)
	if !asked || f.second && !g.second {
		return nil, false, nil
	}
	l := f.looks[s.Stream]
	if l == nil {
		return nil, !g.hides(limit, f.now), nil
	}
	key := f.mark(s.ID)
	for !f.answers(l, l.seen[key], limit, messages) {
		if l.failed != nil {
			return nil, false, nil //nolint:nilerr // as in refresh
		}
		if l.isOver(limit) {
			break
		}
		if f.isSpent() {
			return nil, false, nil
		}
		if err := f.advance(ctx, l, s.Stream, limit); err != nil {
			return nil, false, err
		}
	}
	a = l.seen[key]
	return a, a != nil || !l.hides(limit, f.now), nil
}

// answers reports whether going on would tell nothing new.
func (f *flows) answers(l *look, a *arrival, limit time.Duration, messages int) bool {
	if a != nil && (!f.isFresh(a.newest, limit) || messages == 1 || !a.before.IsZero()) {
		return true
	}
	return !l.next.IsZero() && !f.isFresh(l.next, limit)
}

// isOver reports whether there is no more to look at for a limit.
func (l *look) isOver(limit time.Duration) bool {
	return l.ended && (l.all || slices.Contains(l.spread, limit))
}

// advance looks at a few more messages of a stream.
func (f *flows) advance(ctx context.Context, l *look, stream string, limit time.Duration) error {
	if !l.ended {
		arrived, err := f.store.Arrivals(ctx, []buffer.Arrivals{{
			Stream: stream, Before: l.next, Since: f.now.Add(-f.longest()), Messages: lookMessages - l.messages, Bytes: lookBytes - l.bytes,
		}})
		if err != nil {
			return err
		}
		a := arrived[0]
		if l.failed = a.Err; l.failed != nil {
			return nil //nolint:nilerr // as in refresh
		}
		f.bytes += a.Bytes
		l.messages, l.bytes = l.messages+a.Messages, l.bytes+a.Bytes
		if a.Messages > 0 {
			l.next = a.Oldest
		}
		l.finish(a)
		f.merge(l, stream, a)
		return nil
	}
	l.spread = append(l.spread, limit)
	return f.spread(ctx, l, stream, limit)
}

// spread looks at messages between the limit and where the part without gaps
// ends. The first that is found says where the stream begins: it may hold much
// less than the limit.
func (f *flows) spread(ctx context.Context, l *look, stream string, limit time.Duration) error {
	if !l.next.IsTime(f.now) {
		return nil
	}
	from := f.now.Add(-limit)
	first, err := f.lookAt(ctx, l, stream, []time.Time{from})
	if err != nil || l.failed != nil {
		return err
	}
	if len(first) > 0 {
		from = first[0].ID.Time()
	}
	_, err = f.lookAt(ctx, l, stream, spreadPoints(from, l.next.Time()))
	return err
}

// lookAt looks at the first messages from some points in time on. It returns
// what it found with the first call.
func (f *flows) lookAt(ctx context.Context, l *look, stream string, points []time.Time) (first []buffer.MessageRef, err error) {
	for len(points) > 0 && !f.isSpent() {
		done, a, err := f.store.Spread(ctx, stream, points, l.next, f.left())
		if redisconn.IsLost(err) {
			return nil, err
		}
		if err != nil || done == 0 {
			l.failed = err
			return nil, nil //nolint:nilerr // as in refresh
		}
		f.bytes += a.Bytes
		f.merge(l, stream, a)
		points = points[done:]
		if first == nil {
			first = a.Marks
		}
	}
	if len(points) > 0 {
		l.failed = errBudget
	}
	return first, nil
}

// spreadPoints are points between two times, in order. Their distances follow the
// golden ratio and not one period, which may be that of a producer too.
func spreadPoints(from, to time.Time) []time.Time {
	var points []time.Time
	for i := range lookPoints - 1 {
		_, part := math.Modf(float64(i+1) / math.Phi)
		points = append(points, from.Add(time.Duration(part*float64(to.Sub(from)))))
	}
	slices.SortFunc(points, time.Time.Compare)
	return points
}

// isFresh reports whether a message came within a limit. Where ids are not
// times nobody knows, and it counts as fresh.
func (f *flows) isFresh(id buffer.ID, limit time.Duration) bool {
	return !id.IsTime(f.now) || f.now.Sub(id.Time()) <= limit
}

// newestOf is up to which message a stream was looked at.
func (f *flows) newestOf(stream string) buffer.ID {
	if l := f.looks[stream]; l != nil {
		return l.newest
	}
	return buffer.ID{}
}
