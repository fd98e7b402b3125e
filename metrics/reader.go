package metrics

import (
	"context"
	"errors"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// Store is what a reading needs of the stream buffer.
type Store interface {
	Now(context.Context) (time.Time, error)
	WalkStreams(ctx context.Context, visit func(names []string) error) error
	Lengths(ctx context.Context, names []string) ([]buffer.Length, error)
	Infos(ctx context.Context, names []string) ([]buffer.StreamInfo, error)
	Weights(ctx context.Context, names []string) ([]buffer.Weight, error)
}

// Reader reads the figures of the streams: the length of each, unless a trimming
// run has learnt them since the last reading, and the outermost ids of the
// longest, never a payload. Its memory grows with the number of labels, not of
// streams.
type Reader struct {
	store Store
	m     *Metrics
}

// NewReader makes a reader whose readings appear in the metrics.
func NewReader(store Store, m *Metrics) *Reader { return &Reader{store: store, m: m} }

// reading is what one scan of the streams found.
type reading struct {
	at      time.Time // by this machine's clock
	streams int64
	// chosen are the longest streams; the others have so many entries in all.
	chosen       []chosen
	otherEntries int64
	// trimmed: a trimming run learnt the lengths, and what protects entries.
	trimmed        bool
	otherProtected protected
}

type chosen struct {
	name string
	figures
	protected protected
}

// Read reads once and shows the figures, unless this replica is a follower. If
// it fails the figures stay as they were.
func (r *Reader) Read(ctx context.Context) error {
	// Nothing is removed here, so Redis's time will do even where the clocks of
	// Redis and of this machine disagree.
	now, err := r.store.Now(ctx)
	if err != nil && !errors.Is(err, redisconn.ErrClock) {
		return err
	}
	longest := r.m.streams.takeLearnt()
	trimmed := longest != nil
	if !trimmed {
		longest = newTop(r.m.streams.max, r.m.streams.labelled())
		if err := r.measure(ctx, longest); err != nil {
			return err
		}
	}
	found := reading{
		at: r.m.now().UTC(), streams: longest.streams, otherEntries: longest.otherEntries,
		trimmed: trimmed, otherProtected: longest.otherProtected,
	}
	if found.chosen, err = r.look(ctx, longest.kept, now); err != nil {
		return err
	}
	r.m.whileLeading(func() {
		r.m.count.Set(float64(found.streams))
		r.m.streams.show(found)
	})
	return nil
}

// ReadFirst reads unless the figures have been read since this replica leads. A
// job that counts by stream calls it before it begins: what it counts under
// [Other], before the streams have labels, is lost to each of them for good.
func (r *Reader) ReadFirst(ctx context.Context) error {
	r.m.firstReading.Lock()
	defer r.m.firstReading.Unlock()
	if r.m.streams.read() {
		return nil
	}
	return r.Read(ctx)
}

// measure asks for the length of every stream. A key of another type has none,
// and is counted as the jobs come upon it.
func (r *Reader) measure(ctx context.Context, longest *top) error {
	return r.store.WalkStreams(ctx, func(names []string) error {
		lengths, err := r.store.Lengths(ctx, names)
		if err != nil {
			return err
		}
		for i, name := range names {
			longest.offer(length{stream: name, entries: lengths[i].Entries})
		}
		return nil
	})
}

// look asks for the ids and the weights of the chosen streams.
func (r *Reader) look(ctx context.Context, longest lengths, now time.Time) ([]chosen, error) {
	names := make([]string, len(longest))
	for i, l := range longest {
		names[i] = l.stream
	}
	infos, err := r.store.Infos(ctx, names)
	if err != nil {
		return nil, err
	}
	weights, err := r.store.Weights(ctx, names)
	if err != nil {
		return nil, err
	}
	all := make([]chosen, len(longest))
	for i, l := range longest {
		all[i] = chosen{l.stream, figuresOf(l.entries, infos[i], now), l.protected}
		if weights[i].Err == nil {
			all[i].bytes = weights[i].Bytes
		}
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
	if info.Nodes > 0 {
		f.nodeEntries = (info.Length + info.Nodes - 1) / info.Nodes
	}
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
