package sweep

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/trim"
)

// dryStore is a store that lets reads through, and answers trimming calls from
// what was read: what a run has removed is gone for the rest of that run. It
// sends no command that writes.
type dryStore struct {
	Store
	mu      sync.Mutex
	streams map[string]*dryStream
	// without are the groups that are noted as without consumers, by stream.
	without map[string][]string
}

func newDryStore(s Store) *dryStore {
	return &dryStore{Store: s, streams: make(map[string]*dryStream), without: make(map[string][]string)}
}

// Trims implements [Store].
func (d *dryStore) Trims(ctx context.Context, calls []buffer.TrimRequest) ([]buffer.TrimResult, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.read(ctx, calls); err != nil {
		return nil, err
	}
	results := make([]buffer.TrimResult, len(calls))
	for i, call := range calls {
		var err error
		if results[i], err = d.streams[call.Stream].trim(ctx, d.Store, d.AsSent(call)); err != nil {
			return nil, err
		}
		results[i].WithoutConsumers = d.without[call.Stream]
	}
	return results, nil
}

// read reads what is not known yet of the streams of calls.
func (d *dryStore) read(ctx context.Context, calls []buffer.TrimRequest) error {
	var unknown []string
	for _, call := range calls {
		if d.streams[call.Stream] == nil && !slices.Contains(unknown, call.Stream) {
			unknown = append(unknown, call.Stream)
		}
	}
	infos, err := d.Store.Infos(ctx, unknown)
	if err != nil {
		return err
	}
	for i, name := range unknown {
		d.streams[name] = &dryStream{name: name, info: infos[i], most: d.most()}
	}
	for _, call := range calls {
		if err := d.streams[call.Stream].readGroups(ctx, d.Store, call.Groups); err != nil {
			return err
		}
	}
	return nil
}

// mostCounted is of how many streams a plan counts many entries.
const mostCounted = 200

func (d *dryStore) most() buffer.CountLimit {
	if len(d.streams) < mostCounted {
		return countMany
	}
	return countFew
}

// describe adds to a cut what the store knows of the stream.
func (d *dryStore) describe(cut *trim.Cut) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.streams[cut.Stream]
	if s == nil {
		return
	}
	cut.Estimated = cut.Estimated || s.estimated
	for i := range cut.Protected {
		if cut.Protected[i].By == trim.ProtectedByNode {
			cut.Protected[i].Stay = trim.NodeEntries(s.info)
		}
	}
}

// of is a stream that lost entries, else one that did not.
func (d *dryStore) of(stream string) *dryStream {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.streams[stream]; s != nil && s.gone > 0 {
		return s
	}
	return &dryStream{}
}

// Lengths implements [Store].
func (d *dryStore) Lengths(ctx context.Context, names []string) ([]buffer.Length, error) {
	lengths, err := d.Store.Lengths(ctx, names)
	for i := range lengths {
		lengths[i].Entries = max(0, lengths[i].Entries-d.of(names[i]).gone)
	}
	return lengths, err
}

// Sizes implements [Store].
func (d *dryStore) Sizes(ctx context.Context, names []string) ([]int64, error) {
	sizes, err := d.Store.Sizes(ctx, names)
	for i := range sizes {
		sizes[i] -= d.of(names[i]).share(sizes[i])
	}
	return sizes, err
}

// EntryMemories implements [Store].
func (d *dryStore) EntryMemories(ctx context.Context, names []string) ([]buffer.EntryMemory, error) {
	memories, err := d.Store.EntryMemories(ctx, names)
	for i := range memories {
		d.of(names[i]).takeFrom(&memories[i])
	}
	return memories, err
}

// EstimateEntryMemory implements [Store].
func (d *dryStore) EstimateEntryMemory(ctx context.Context, name string, _ buffer.EntryMemory) (buffer.EntryMemory, error) {
	memories, err := d.Store.EntryMemories(ctx, []string{name})
	if err != nil {
		return buffer.EntryMemory{}, err
	}
	m := memories[0]
	if m.Uncounted && m.Err == nil {
		if m, err = d.Store.EstimateEntryMemory(ctx, name, m); err != nil {
			return m, err
		}
	}
	d.of(name).takeFrom(&m)
	return m, nil
}

// OldestWithin implements [Store].
func (d *dryStore) OldestWithin(ctx context.Context, stream string, w buffer.Within) (buffer.Counted, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.read(ctx, []buffer.TrimRequest{{Stream: stream}}); err != nil {
		return buffer.Counted{}, err
	}
	s := d.streams[stream]
	w.After, w.Skip = s.passed, s.gone-s.passedEntries
	c, err := d.Store.OldestWithin(ctx, stream, w)
	if !c.Skipped.IsZero() {
		s.passed, s.passedEntries = c.Skipped, s.gone
	}
	if err != nil || c.Entries == 0 {
		return c, err
	}
	if err := d.weigh(ctx, s); err != nil {
		return c, err
	}
	s.entryBytes = max(s.meanBytes, int64(float64(c.Bytes)/float64(c.Entries)*s.weight))
	return c, nil
}

// weigh finds how much more the entries of a stream take than their sizes say.
func (d *dryStore) weigh(ctx context.Context, s *dryStream) error {
	if s.weight > 0 {
		return nil
	}
	memories, err := d.Store.EntryMemories(ctx, []string{s.name})
	if err != nil {
		return err
	}
	m := memories[0]
	sampled, err := d.Store.EstimateEntryMemory(ctx, s.name, m)
	if err != nil {
		return err
	}
	s.weight = weightOf(m.Bytes, s.info.Nodes)
	if sampled.BySizes > 0 {
		s.weight = max(1, float64(m.Bytes)/float64(sampled.BySizes))
	}
	if s.info.Added >= 0 && mayHideDeleted(s.info) {
		s.meanBytes = m.Bytes / max(1, m.Length)
	}
	return nil
}

// NewestOf implements [Store]: nothing that is new is removed.
func (d *dryStore) NewestOf(ctx context.Context, stream string, bytes int64) (buffer.Counted, error) {
	c, err := d.Store.NewestOf(ctx, stream, bytes)
	if s := d.of(stream); s.gone > 0 {
		c.Entries = min(c.Entries, s.left())
	}
	return c, err
}

// Oldest implements [Store].
func (d *dryStore) Oldest(ctx context.Context, looks []buffer.OldestRequest) ([]buffer.OldestResult, error) {
	found, err := d.Store.Oldest(ctx, looks)
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range found {
		s := d.streams[looks[i].Stream]
		if s == nil || s.gone == 0 || found[i].Err != nil {
			continue
		}
		old, err := s.countBelow(ctx, d.Store, looks[i].Before)
		if err != nil {
			return nil, err
		}
		found[i].Length, found[i].Old = s.left(), min(old, looks[i].Count)
		found[i].First = s.now().First
	}
	return found, err
}

// Infos implements [Store].
func (d *dryStore) Infos(ctx context.Context, names []string) ([]buffer.StreamInfo, error) {
	infos, err := d.Store.Infos(ctx, names)
	for i := range infos {
		if s := d.of(names[i]); s.gone > 0 {
			infos[i] = s.now()
		}
	}
	return infos, err
}

// CountRange implements [Store].
func (d *dryStore) CountRange(ctx context.Context, r buffer.Range, limit buffer.CountLimit) (int64, bool, error) {
	s := d.of(r.Stream)
	if s.gone == 0 || !r.From.IsZero() {
		return d.Store.CountRange(ctx, r, limit)
	}
	limit.Entries += s.gone
	n, all, err := d.Store.CountRange(ctx, r, limit)
	return max(0, n-s.gone), all, err
}

// Memories implements [Store]: what was removed is free.
func (d *dryStore) Memories(ctx context.Context) ([]buffer.NodeMemory, error) {
	memories, err := d.Store.Memories(ctx)
	if err != nil {
		return memories, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var names []string
	for name, s := range d.streams {
		if s.gone > 0 {
			names = append(names, name)
		}
	}
	sizes, err := d.Store.Sizes(ctx, names)
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		node, err := d.NodeOf(ctx, name)
		if err != nil {
			return nil, err
		}
		for m := range memories {
			if memories[m].Node == node {
				memories[m].Used -= d.streams[name].share(sizes[i])
			}
		}
	}
	return memories, nil
}

// GroupNotes implements [Store].
func (d *dryStore) GroupNotes(ctx context.Context) (map[buffer.StreamGroup]time.Time, error) {
	notes, err := d.Store.GroupNotes(ctx)
	for g := range notes {
		d.without[g.Stream] = append(d.without[g.Stream], g.Group)
	}
	return notes, err
}

// NoteGroups implements [Store].
func (*dryStore) NoteGroups(context.Context, []buffer.StreamGroup, time.Time) error { return nil }

// ForgetGroups implements [Store].
func (*dryStore) ForgetGroups(context.Context, []buffer.StreamGroup) error { return nil }

// SetTrimPolicy implements [Store].
func (*dryStore) SetTrimPolicy(context.Context, buffer.StateFields) error { return nil }
