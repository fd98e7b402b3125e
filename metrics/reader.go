package metrics

import (
	"context"
	"errors"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/trim"
)

// Store is what a reading needs of the stream buffer.
type Store interface {
	Now(context.Context) (time.Time, error)
	WalkStreams(ctx context.Context, visit func(names []string) error) error
	Lengths(ctx context.Context, names []string) ([]buffer.Length, error)
	Infos(ctx context.Context, names []string) ([]buffer.StreamInfo, error)
}

// Reader reads the figures of the streams: the length of each, and the outermost
// ids of the longest, never a payload. Its memory grows with the number of
// labels, and of streams that grow, not of all.
type Reader struct {
	store Store
	m     *Metrics
	// growing is which streams grow; nil if nobody knows.
	growing func() trim.Growing
	rest    rest
}

// NewReader makes a reader whose readings appear in the metrics.
func NewReader(store Store, m *Metrics) *Reader { return &Reader{store: store, m: m} }

// Follow has the reader ask only the streams that grow, and the longest, for as
// long as the others are known to have kept their lengths.
func (r *Reader) Follow(growing func() trim.Growing) { r.growing = growing }

// rest is what the last walk over all streams found of those that do not grow
// and are not among the longest.
type rest struct {
	// since is when all were visited by whoever knows that they do not grow,
	// zero if nobody does; at is when the walk was.
	since, at time.Time
	// live are the others.
	live             []string
	streams, entries int64
	// longest of them.
	longest int64
}

// muchLonger is how many times as long as the shortest of the longest another
// stream must be for all to be measured anew, when those have become shorter.
// Streams at their limits are all about as long.
const muchLonger = 2

// reading is what one walk over the streams found.
type reading struct {
	at      time.Time // by this machine's clock
	streams int64
	// chosen are the longest streams; the others have so many entries in all.
	chosen       []chosen
	otherEntries int64
}

type chosen struct {
	name string
	figures
}

// Read reads once and shows the figures, unless this replica is a follower. If
// it fails the figures stay as they were.
func (r *Reader) Read(ctx context.Context) error {
	// Nothing is removed here, so Redis's time will do even where the clocks of
	// Redis and of this machine disagree.
	now, err := r.store.Now(ctx)
	if err != nil && !errors.Is(err, buffer.ErrClock) {
		return err
	}
	longest := newTop(r.m.streams.max, r.m.streams.labelled())
	if err := r.measure(ctx, longest); err != nil {
		return err
	}
	found := reading{at: r.m.now().UTC(), streams: longest.streams, otherEntries: longest.otherEntries}
	if found.chosen, err = r.look(ctx, longest.kept, now); err != nil {
		return err
	}
	r.m.whileLeading(func() {
		r.m.count.Set(float64(found.streams))
		r.m.streams.show(found)
	})
	return nil
}

// measure asks for the length of every stream that may have another than it had.
func (r *Reader) measure(ctx context.Context, longest *top) error {
	var growing trim.Growing
	if r.growing != nil {
		growing = r.growing()
	}
	now := r.m.now()
	if growing.Since.IsZero() || !growing.Since.Equal(r.rest.since) || now.Sub(r.rest.at).Abs() > trim.DefaultVisitAll {
		return r.measureAll(ctx, longest, growing, now)
	}
	lengths, err := r.store.Lengths(ctx, r.rest.live)
	if err != nil {
		return err
	}
	live := newTop(longest.most, longest.labelled)
	for i, name := range r.rest.live {
		live.offer(name, lengths[i].Entries)
	}
	if live.most > 0 && r.rest.longest > muchLonger*live.shortest() {
		return r.measureAll(ctx, longest, growing, now)
	}
	live.streams += r.rest.streams
	live.otherEntries += r.rest.entries
	*longest = *live
	return nil
}

// measureAll asks for the length of every stream, and keeps what it found of
// those that do not grow. A key of another type has none, and is counted as the
// jobs come upon it.
func (r *Reader) measureAll(ctx context.Context, longest *top, growing trim.Growing, now time.Time) error {
	r.rest = rest{}
	grown := make(map[string]int64, len(growing.Streams))
	for _, name := range growing.Streams {
		grown[name] = 0
	}
	if err := r.store.WalkStreams(ctx, func(names []string) error {
		lengths, err := r.store.Lengths(ctx, names)
		if err != nil {
			return err
		}
		for i, name := range names {
			if left, some := longest.offer(name, lengths[i].Entries); some {
				if _, grows := grown[left.stream]; !grows {
					r.rest.longest = max(r.rest.longest, left.entries)
				}
			}
			if _, grows := grown[name]; grows {
				grown[name] = lengths[i].Entries
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if growing.Since.IsZero() {
		return nil
	}
	found := rest{since: growing.Since, at: now, streams: longest.streams, entries: longest.otherEntries, longest: r.rest.longest}
	for _, l := range longest.kept {
		found.live = append(found.live, l.stream)
		delete(grown, l.stream)
	}
	for name, entries := range grown {
		found.live = append(found.live, name)
		found.entries -= entries
	}
	found.streams -= int64(len(found.live))
	r.rest = found
	return nil
}

// look asks for the ids of the chosen streams.
func (r *Reader) look(ctx context.Context, longest lengths, now time.Time) ([]chosen, error) {
	names := make([]string, len(longest))
	for i, l := range longest {
		names[i] = l.stream
	}
	infos, err := r.store.Infos(ctx, names)
	if err != nil {
		return nil, err
	}
	all := make([]chosen, len(longest))
	for i, l := range longest {
		all[i] = chosen{l.stream, figuresOf(l.entries, infos[i], now)}
	}
	return all, nil
}

// figuresOf takes the length from the later look, to which the ids belong, where
// there was one.
func figuresOf(entries int64, info buffer.StreamInfo, now time.Time) figures {
	if info.Err != nil || !info.Exists() {
		return figures{entries: entries}
	}
	f := figures{entries: info.Length, timed: info.LastID.IsTime(now)}
	if info.Length > 0 {
		f.timed = f.timed && info.First.IsTime(now) && info.Newest.IsTime(now)
	}
	if !f.timed {
		return f
	}
	f.idle = max(0, now.Sub(info.LastID.Time()))
	if info.Length > 0 {
		f.coverage = info.Newest.Time().Sub(info.First.Time())
	}
	return f
}
