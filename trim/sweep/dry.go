package sweep

import (
	"context"
	"fmt"
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
func (d *dryStore) Trims(ctx context.Context, calls []buffer.Trim) ([]buffer.Trimmed, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.read(ctx, calls); err != nil {
		return nil, err
	}
	results := make([]buffer.Trimmed, len(calls))
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
func (d *dryStore) read(ctx context.Context, calls []buffer.Trim) error {
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
	if err := d.read(ctx, []buffer.Trim{{Stream: stream}}); err != nil {
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
	if s.weight == 0 {
		memories, err := d.Store.EntryMemories(ctx, []string{stream})
		if err != nil {
			return c, err
		}
		s.weight = weightOf(memories[0].Bytes, s.info.Nodes)
		if s.info.Added >= 0 && mayHideDeleted(s.info) {
			s.meanBytes = memories[0].Bytes / max(1, memories[0].Length)
		}
	}
	s.entryBytes = max(s.meanBytes, int64(float64(c.Bytes)/float64(c.Entries)*s.weight))
	return c, nil
}

// NewestOf implements [Store]: nothing that is new is removed.
func (d *dryStore) NewestOf(ctx context.Context, stream string, bytes int64) (buffer.Counted, error) {
	c, err := d.Store.NewestOf(ctx, stream, bytes)
	if s := d.of(stream); s.gone > 0 {
		c.Entries = min(c.Entries, s.left())
	}
	return c, err
}

// Heads implements [Store].
func (d *dryStore) Heads(ctx context.Context, looks []buffer.Look) ([]buffer.Head, error) {
	heads, err := d.Store.Heads(ctx, looks)
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range heads {
		s := d.streams[looks[i].Stream]
		if s == nil || s.gone == 0 || heads[i].Err != nil {
			continue
		}
		old, err := s.countBelow(ctx, d.Store, looks[i].Before)
		if err != nil {
			return nil, err
		}
		heads[i].Length, heads[i].Old = s.left(), min(old, looks[i].Count)
		heads[i].First = s.now().First
	}
	return heads, err
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
	for part := range slices.Chunk(names, maxBatch) {
		sizes, err := d.Store.Sizes(ctx, part)
		if err != nil {
			return nil, err
		}
		for i, name := range part {
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
	}
	return memories, nil
}

// GroupNotes implements [Store].
func (d *dryStore) GroupNotes(ctx context.Context) (map[buffer.GroupName]time.Time, error) {
	notes, err := d.Store.GroupNotes(ctx)
	for g := range notes {
		d.without[g.Stream] = append(d.without[g.Stream], g.Group)
	}
	return notes, err
}

// NoteGroups implements [Store].
func (*dryStore) NoteGroups(context.Context, []buffer.GroupName, time.Time) error { return nil }

// ForgetGroups implements [Store].
func (*dryStore) ForgetGroups(context.Context, []buffer.GroupName) error { return nil }

// SetTrimPolicy implements [Store].
func (*dryStore) SetTrimPolicy(context.Context, buffer.Facts) error { return nil }

// dryStream is a stream as it was read, less what was removed.
type dryStream struct {
	name string
	info buffer.StreamInfo
	gone int64
	// freed is how many bytes they took, as far as it was asked, and entryBytes
	// what an entry at the old end takes.
	freed, entryBytes int64
	// passed is the id of an entry that is gone, and how many are gone with it.
	passed        buffer.ID
	passedEntries int64
	// weight is how much more entries take than their sizes say, 0 if not asked, and
	// meanBytes what one takes in the mean where some were deleted.
	weight    float64
	meanBytes int64
	// below is how many entries lay below an id when it was read.
	below map[buffer.ID]int64
	// needed is the first id that a consumer group needs, and group its name.
	needed     buffer.ID
	group      string
	groupErr   error
	groupsRead bool
	// most is how many entries are counted one by one.
	most buffer.CountLimit
	// estimated: an answer was an estimate.
	estimated bool
}

// freedOf is how many of a stream's bytes the removed entries took.
func (s *dryStream) freedOf(bytes int64) int64 {
	if s.freed > 0 {
		return min(bytes, s.freed)
	}
	return s.share(bytes)
}

// takeFrom takes the removed entries out of what the stream took.
func (s *dryStream) takeFrom(m *buffer.EntryMemory) {
	if s.gone > 0 {
		m.Bytes -= s.freedOf(m.Bytes)
		m.Total -= s.freedOf(m.Total)
		m.Length = max(0, m.Length-s.gone)
	}
}

func (s *dryStream) left() int64 { return max(0, s.info.Length-s.gone) }

// share is what the removed entries took of so many bytes.
func (s *dryStream) share(bytes int64) int64 {
	return int64(float64(bytes) * float64(s.gone) / float64(max(1, s.info.Length)))
}

// now is the stream without what was removed, as if it grew evenly.
func (s *dryStream) now() buffer.StreamInfo {
	info := s.info
	info.Length = s.left()
	if info.Length == 0 {
		info.First, info.Newest, info.Nodes = buffer.ID{}, buffer.ID{}, 0
		return info
	}
	part := float64(s.gone) / float64(s.info.Length)
	info.First.Ms += uint64(part * float64(info.Newest.Ms-info.First.Ms))
	node := trim.NodeEntries(s.info)
	info.Nodes = (info.Length + node - 1) / node
	return info
}

func (s *dryStream) readGroups(ctx context.Context, store Store, guard *buffer.GroupGuard) error {
	if guard == nil || s.groupsRead || !s.info.Exists() {
		return nil
	}
	floors, err := store.GroupFloors(ctx, []string{s.name}, *guard)
	if err != nil {
		return err
	}
	s.groupsRead, s.needed, s.group, s.groupErr = true, floors[0].Needed, floors[0].Group, floors[0].Err
	return nil
}

// countBelow is how many entries that are left lie below an id.
func (s *dryStream) countBelow(ctx context.Context, store Store, id buffer.ID) (int64, error) {
	n, known := s.below[id]
	if !known {
		var estimated bool
		var err error
		if n, estimated, err = countBelow(ctx, store, s.name, s.info, id, s.most); err != nil {
			return 0, err
		}
		if s.below == nil {
			s.below = make(map[buffer.ID]int64)
		}
		s.below[id], s.estimated = n, s.estimated || estimated
	}
	return max(0, n-s.gone), nil
}

// trim answers a call as Redis would: see trimScript in package buffer.
func (s *dryStream) trim(ctx context.Context, store Store, call buffer.Trim) (result buffer.Trimmed, err error) {
	switch {
	case s.info.Err != nil:
		return buffer.Trimmed{Err: s.info.Err}, nil //nolint:nilerr // as Redis would answer
	case s.groupErr != nil:
		return buffer.Trimmed{Err: s.groupErr}, nil //nolint:nilerr // as Redis would answer
	case !s.info.Exists():
		if s.info.Type != "none" {
			result.Err = fmt.Errorf("WRONGTYPE %s", s.info.Type)
		}
		return result, nil
	}
	floor, holder := call.Floor, ""
	if call.Groups != nil && !s.needed.IsZero() && (floor.IsZero() || s.needed.Less(floor)) {
		floor, holder = s.needed, s.group
	}
	over := s.left() - call.MaxLen
	if !call.Before.IsZero() {
		if over, err = s.countBelow(ctx, store, call.Before); err != nil {
			return result, err
		}
	}
	below := over
	if !floor.IsZero() {
		result.Floor, result.FloorGroup = floor, holder
		if below, err = s.countBelow(ctx, store, floor); err != nil {
			return result, err
		}
	}
	if over <= 0 {
		return result, nil
	}
	free := min(over, below)
	result.Removed = s.remove(free, call)
	rest := min(over, call.Limit) - result.Removed
	if !call.Exact {
		rest = min(rest, buffer.DefaultNodeLimits.Entries+1)
	}
	if free < over && rest > 0 && below-result.Removed < rest {
		result.HeldBy = holder
	}
	return result, nil
}

// remove removes as many of the entries as a call may, and says how many.
func (s *dryStream) remove(entries int64, call buffer.Trim) int64 {
	removed := max(0, min(entries, call.Limit))
	if !call.Exact {
		node := trim.NodeEntries(s.info)
		s.estimated = s.estimated || s.info.Nodes != s.info.Length
		first := min(node-s.gone%node, s.left())
		switch {
		case removed >= s.left():
		case removed < first:
			removed = 0
		default:
			removed = first + (removed-first)/node*node
		}
	}
	s.gone += removed
	s.freed += removed * s.entryBytes
	return removed
}
