package metrics

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// Store is what a reading needs of the stream buffer.
type Store interface {
	Time(context.Context) (time.Time, error)
	WalkStreams(ctx context.Context, visit func(names []string) error) error
	Lengths(ctx context.Context, names []string) ([]buffer.Length, error)
	Infos(ctx context.Context, names []string) ([]buffer.StreamInfo, error)
	EntryMemories(ctx context.Context, names []string) ([]buffer.EntryMemory, error)
	EstimateEntryMemory(ctx context.Context, name string, counted buffer.EntryMemory) (buffer.EntryMemory, error)
}

// Reader reads the figures of the streams: the length of each, unless a trimming
// run has learnt them since the last reading; the memory of some, in turn; and the
// memory and the outermost ids of the largest, never a payload.
type Reader struct {
	store Store
	m     *Metrics
}

// estimatedAReading is how many streams with a label, and how many others, are
// estimated in a reading, in turn: each takes some hundred looks at its entries.
const estimatedAReading = 4

// NewReader makes a reader whose readings appear in the metrics.
func NewReader(store Store, m *Metrics) *Reader { return &Reader{store: store, m: m} }

// reading is what one scan of the streams found.
type reading struct {
	at      time.Time // by this machine's clock
	streams int64
	// chosen are the largest streams; the others have so many entries in all, which
	// take about so many bytes.
	chosen                   []chosen
	otherEntries, otherBytes int64
	others                   []OtherStream
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
	now, err := r.store.Time(ctx)
	if err != nil {
		return err
	}
	r.m.sizes.start()
	left := sampling{streams: sampledAReading, bytes: sampledBytes, estimates: estimatedAReading}
	largest := r.m.streams.takeLearnt()
	trimmed := largest != nil
	if !trimmed {
		largest = newTop(r.m.streams.max, r.m.streams.labelled(), r.m.sizes)
		if err := r.measure(ctx, largest, &left); err != nil {
			return err
		}
	}
	found := reading{
		at: r.m.now().UTC(), streams: largest.streams, otherEntries: largest.otherEntries, otherBytes: largest.otherBytes,
		trimmed: trimmed, otherProtected: largest.otherProtected, others: largest.listed(),
	}
	if found.chosen, err = r.look(ctx, largest.kept, now); err != nil {
		return err
	}
	all, err := r.sample(ctx, largest.due, &left)
	if err != nil {
		return err
	}
	r.m.sizes.end(all && !largest.more)
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

// measure asks for the length of every stream, and for the memory of some before
// they are compared. A key of another type has none, and is counted as the jobs come
// upon it.
func (r *Reader) measure(ctx context.Context, largest *top, left *sampling) error {
	return r.store.WalkStreams(ctx, func(names []string) error {
		lengths, err := r.store.Lengths(ctx, names)
		if err != nil {
			return err
		}
		var due []string
		for i, name := range names {
			if lengths[i].Entries > 0 && !largest.labelled(name) && r.m.sizes.due(name) {
				due = append(due, name)
			}
		}
		if _, err := r.sample(ctx, due, left); err != nil {
			return err
		}
		for i, name := range names {
			largest.offer(length{stream: name, entries: lengths[i].Entries})
		}
		return nil
	})
}

// sampling is how much a reading may still measure of streams without a label.
type sampling struct {
	streams, estimates int
	bytes              int64
}

// sampledTogether is how many streams are measured before it is seen what they hold.
const sampledTogether = 32

// sample measures streams for as long as it may, and reports whether it came to all.
func (r *Reader) sample(ctx context.Context, names []string, left *sampling) (all bool, err error) {
	for part := range slices.Chunk(names, sampledTogether) {
		if left.streams <= 0 || left.bytes <= 0 {
			return false, nil
		}
		memories, err := r.store.EntryMemories(ctx, part)
		if err != nil {
			return false, err
		}
		for i, m := range memories {
			left.streams, left.bytes = left.streams-1, left.bytes-max(m.Bytes, m.Total)
			if isUncounted(m) && left.estimates > 0 {
				left.estimates--
				if m, err = r.store.EstimateEntryMemory(ctx, part[i], m); err != nil {
					return false, err
				}
			}
			r.m.sizes.note(part[i], m)
		}
	}
	return true, nil
}

// look asks for the ids and the memory of the chosen streams.
func (r *Reader) look(ctx context.Context, largest lengths, now time.Time) ([]chosen, error) {
	names := make([]string, len(largest))
	for i, l := range largest {
		names[i] = l.stream
	}
	infos, err := r.store.Infos(ctx, names)
	if err != nil {
		return nil, err
	}
	memories, err := r.memoriesOf(ctx, largest, names)
	if err != nil {
		return nil, err
	}
	all := make([]chosen, len(largest))
	for i, l := range largest {
		all[i] = chosen{l.stream, figuresOf(l.entries, infos[i], now), l.protected}
		all[i].bytes, all[i].estimated = memories[i].Bytes, memories[i].Estimated
	}
	return all, nil
}

// isUncounted reports whether the memory of a stream has to be estimated: Redis cannot
// count it quickly, or not at all.
func isUncounted(m buffer.EntryMemory) bool {
	return m.Uncounted || m.Err != nil && redisconn.ClassOf(m.Err) != redisconn.ClassWrongType
}

// memoriesOf is what the entries of the largest streams take in memory, 0 where it is not known.
// Where Redis cannot count it, few are estimated in a reading, in turn; the others
// have what the last estimate says of their length.
func (r *Reader) memoriesOf(ctx context.Context, largest lengths, names []string) ([]buffer.EntryMemory, error) {
	memories, err := r.store.EntryMemories(ctx, names)
	if err != nil {
		return nil, err
	}
	var uncounted []int
	for i, m := range memories {
		if isUncounted(m) {
			uncounted = append(uncounted, i)
		}
		r.m.sizes.note(names[i], m)
	}
	slices.SortStableFunc(uncounted, func(a, b int) int {
		return cmp.Compare(r.m.sizes.estimated(names[a]), r.m.sizes.estimated(names[b]))
	})
	for n, i := range uncounted {
		m := &memories[i]
		if n >= estimatedAReading {
			m.Bytes, m.Estimated = r.m.sizes.own(names[i], cmp.Or(m.Length, largest[i].entries)), true
			continue
		}
		if *m, err = r.store.EstimateEntryMemory(ctx, names[i], *m); err != nil {
			return nil, err
		}
		r.m.sizes.note(names[i], *m)
	}
	return memories, nil
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
