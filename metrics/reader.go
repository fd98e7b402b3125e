package metrics

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
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
	EntryMemories(ctx context.Context, names []string) ([]buffer.EntryMemory, error)
	EstimateEntryMemory(ctx context.Context, name string, counted buffer.EntryMemory) (buffer.EntryMemory, error)
}

// Reader reads the figures of the streams: the length of each, unless a trimming
// run has learnt them since the last reading, and the outermost ids of the
// longest, never a payload. Its memory grows with the number of labels, not of
// streams.
type Reader struct {
	store Store
	m     *Metrics

	mu sync.Mutex
	// estimates are the bytes of labelled streams that Redis cannot count.
	estimates map[string]estimate
	readings  int
}

// estimate is what was estimated, and in which reading.
type estimate struct {
	bytes   int64
	reading int
}

// estimatedAReading is how many streams are estimated in a reading, in turn: each
// takes some hundred looks at its entries.
const estimatedAReading = 4

// NewReader makes a reader whose readings appear in the metrics.
func NewReader(store Store, m *Metrics) *Reader {
	return &Reader{store: store, m: m, estimates: make(map[string]estimate)}
}

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

// look asks for the ids and the memory of the chosen streams.
func (r *Reader) look(ctx context.Context, longest lengths, now time.Time) ([]chosen, error) {
	names := make([]string, len(longest))
	for i, l := range longest {
		names[i] = l.stream
	}
	infos, err := r.store.Infos(ctx, names)
	if err != nil {
		return nil, err
	}
	bytes, err := r.bytesOf(ctx, names)
	if err != nil {
		return nil, err
	}
	all := make([]chosen, len(longest))
	for i, l := range longest {
		all[i] = chosen{l.stream, figuresOf(l.entries, infos[i], now), l.protected}
		all[i].bytes = bytes[i]
	}
	return all, nil
}

// bytesOf is what the entries of streams take in memory, 0 where it is not known.
func (r *Reader) bytesOf(ctx context.Context, names []string) ([]int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	memories, err := r.store.EntryMemories(ctx, names)
	if err != nil {
		return nil, err
	}
	bytes := make([]int64, len(names))
	var uncounted []int
	for i, m := range memories {
		switch {
		case m.Uncounted:
			uncounted = append(uncounted, i)
		case m.Err == nil:
			bytes[i] = m.Bytes
		}
	}
	r.readings++
	before := r.estimates
	r.estimates = make(map[string]estimate, len(uncounted))
	slices.SortStableFunc(uncounted, func(a, b int) int { return cmp.Compare(before[names[a]].reading, before[names[b]].reading) })
	for n, i := range uncounted {
		e := before[names[i]]
		if n < estimatedAReading {
			m, err := r.store.EstimateEntryMemory(ctx, names[i], memories[i])
			if err != nil {
				return nil, err
			}
			e = estimate{m.Bytes, r.readings}
		}
		r.estimates[names[i]], bytes[i] = e, e.bytes
	}
	return bytes, nil
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
