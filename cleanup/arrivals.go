package cleanup

import (
	"context"
	"hash/maphash"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
)

// start begins the look at the streams of sessions, or brings it up to date, in
// pipelines.
func (f *flows) start(ctx context.Context, sessions []registry.Session) error {
	var wanted []buffer.Arrivals
	chosen := make(map[string]bool)
	for i := range sessions {
		s := &sessions[i]
		if !asks(s) || chosen[s.Stream] || !f.turns.has(s.Stream) || !f.due(s.Stream) {
			continue
		}
		chosen[s.Stream] = true
		wanted = append(wanted, f.newer(s.Stream))
	}
	for len(wanted) > 0 {
		batch := wanted[:min(len(wanted), startBatch)]
		wanted = wanted[len(batch):]
		if f.isSpent() {
			return nil // not looked at is unknown
		}
		arrived, err := f.store.Arrivals(ctx, batch)
		if err != nil {
			return err
		}
		for i, a := range arrived {
			if err := f.started(ctx, batch[i], a); err != nil {
				return err
			}
		}
	}
	return nil
}

// startBatch is how many streams are asked in one pipeline.
const startBatch = 8

// left is how many bytes this scan may still read.
func (f *flows) left() int64 {
	most := f.bounds.read
	if !f.second {
		most -= most / secondShare
	}
	return most - f.bytes
}

// isSpent reports whether this scan may read no more, and keeps in mind that the
// first could not read all.
func (f *flows) isSpent() bool {
	spent := f.left() <= 0
	f.short = f.short || spent && !f.second
	return spent
}

// nextTurns are for the next run.
func (f *flows) nextTurns() turns { return f.turns.next(f.short, f.bytes < f.bounds.read/4) }

// lastGlance is when a stream was last asked; false if it never was.
func (f *flows) lastGlance(stream string) (g glance, known bool) {
	if l := f.looks[stream]; l != nil {
		return l.glance, true
	}
	g, known = f.silent[maphash.String(f.seed, stream)]
	return g, known
}

// due reports whether a stream is to be asked for what came to it. What the
// first scan could not look at, the second does not begin to.
func (f *flows) due(stream string) bool {
	if l := f.looks[stream]; l != nil && l.failed != nil {
		return false
	}
	g, known := f.lastGlance(stream)
	if !f.second {
		return !known
	}
	return known && (!g.second || time.Since(g.at) > freshFor)
}

// newer asks for what came to a stream since it was looked at.
func (f *flows) newer(stream string) buffer.Arrivals {
	ask := buffer.Arrivals{
		Stream: strings.Clone(stream), Since: f.now.Add(-f.longest()), Messages: lookMessages, Bytes: lookBytes,
	}
	if l := f.looks[stream]; l != nil {
		ask.After = l.newest
	}
	return ask
}

// started takes in the first answer about a stream.
func (f *flows) started(ctx context.Context, ask buffer.Arrivals, a buffer.Arrived) error {
	l := f.looks[ask.Stream]
	g := f.glances(ask.Stream, a)
	f.bytes += a.Bytes
	switch {
	case l == nil && a.Err == nil && a.Messages == 0:
		hash := maphash.String(f.seed, ask.Stream)
		if _, known := f.silent[hash]; known || f.takes(silentMemory) {
			f.silent[hash] = g
		}
		return nil
	case l == nil && !f.takes(lookMemory+int64(len(ask.Stream))):
		return nil
	case l == nil:
		l = &look{seen: make(map[uint64]*arrival), next: a.Oldest, newest: a.Newest, messages: a.Messages, bytes: a.Bytes}
		l.failed, l.glance = a.Err, g
		l.finish(a)
		f.looks[ask.Stream] = l
		f.merge(l, ask.Stream, a)
		return nil
	}
	l.glance = g
	return f.refresh(ctx, l, ask, a)
}

// glances notes that a stream was asked now.
func (f *flows) glances(stream string, a buffer.Arrived) glance {
	emptied := f.silent[maphash.String(f.seed, stream)].emptied
	if l := f.looks[stream]; l != nil {
		emptied = l.emptied
	}
	if emptied.Less(a.Emptied) {
		emptied = a.Emptied
	}
	return glance{f.second, time.Now(), emptied}
}

// hides reports whether messages within a limit may have gone before they were
// looked at.
func (g glance) hides(limit time.Duration, now time.Time) bool {
	return g.emptied.IsTime(now) && now.Sub(g.emptied.Time()) <= limit
}

// finish ends the part without gaps where its bounds or the stream end it.
func (l *look) finish(a buffer.Arrived) {
	l.all = l.all || a.End
	l.ended = l.ended || l.all || l.messages >= lookMessages || l.bytes >= lookBytes
}

// refresh adds what came since to a look.
func (f *flows) refresh(ctx context.Context, l *look, ask buffer.Arrivals, a buffer.Arrived) error {
	newest := l.newest
	for messages, bytes := 0, int64(0); ; {
		if l.failed = a.Err; l.failed != nil {
			return nil //nolint:nilerr // it is the look's own, and ends nothing but this look
		}
		if a.Messages > 0 && newest.Less(a.Newest) {
			newest = a.Newest
		}
		f.merge(l, ask.Stream, a)
		messages, bytes = messages+a.Messages, bytes+a.Bytes
		if a.End || messages >= lookMessages || bytes >= lookBytes {
			break
		}
		ask.Before, ask.Messages, ask.Bytes = a.Oldest, lookMessages-messages, lookBytes-bytes
		arrived, err := f.store.Arrivals(ctx, []buffer.Arrivals{ask})
		if err != nil {
			return err
		}
		a = arrived[0]
		f.bytes += a.Bytes
	}
	l.newest = newest
	return nil
}

// takes accounts for memory, and reports whether there is room.
func (f *flows) takes(bytes int64) bool {
	if f.memory+bytes > f.bounds.kept {
		return false
	}
	f.memory += bytes
	return true
}

// merge adds messages to what is known of a stream.
func (f *flows) merge(l *look, stream string, arrived buffer.Arrived) {
	for _, m := range arrived.Marks {
		key := f.hashOf(m.Session)
		a := l.seen[key]
		if a == nil {
			if !f.takes(arrivalMemory) {
				l.failed = errMemory
				return
			}
			a = f.newArrival(stream, key)
			l.seen[key] = a
		}
		switch {
		case a.newest.Less(m.ID):
			a.newest, a.before = m.ID, a.newest
		case m.ID.Less(a.newest) && a.before.Less(m.ID):
			a.before = m.ID
		}
	}
}

// newArrival begins what is known of messages: they are those of the session of
// this page with the newest time, unless one of an earlier page names them too.
func (f *flows) newArrival(stream string, mark uint64) *arrival {
	a := &arrival{contested: !f.second && f.seen.has(f.id(stream, mark))}
	for i := range f.page {
		s := &f.page[i]
		if f.mayOwn(s) && s.Stream == stream && (a.by == 0 || s.Updated.After(a.updated)) && f.mark(s.ID) == mark {
			a.take(f.identity(s), s)
		}
	}
	return a
}
