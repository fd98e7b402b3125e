package pressure

import (
	"context"
	"slices"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// largestAtOnce is how many streams of a node are worked on.
const largestAtOnce = 1024

// largest are the streams of a node that hold most bytes, and at most as many
// more that were found since the others were dropped.
type largest []Stream

// add keeps a stream for as long as it may be among the largest.
func (l *largest) add(s Stream) {
	if *l = append(*l, s); len(*l) >= 2*largestAtOnce {
		*l = l.top()
	}
}

func (l *largest) top() []Stream {
	slices.SortFunc(*l, bySize)
	return (*l)[:min(len(*l), largestAtOnce)]
}

// measure finds the largest streams of the given nodes, without those that were
// found before, and what is to be known of them. A stream whose policy keeps
// everything is not among them, nor one whose ids are no times: its entries
// have no age that could protect them.
func (r *relief) measure(ctx context.Context, nodes map[string]buffer.NodeMemory) (map[string][]Stream, error) {
	found := make(map[string]*largest, len(nodes))
	for node := range nodes {
		found[node] = &largest{}
	}
	err := r.in.Store.WalkStreams(ctx, func(page []string) error {
		page = slices.DeleteFunc(slices.Clone(page), func(name string) bool { return r.found[name] || r.in.Policies.For(name).KeepsAll() })
		return r.measurePage(ctx, page, found)
	})
	if err != nil {
		return nil, err
	}
	streams := make(map[string][]Stream, len(found))
	for node, l := range found {
		// The scan of a set may name a stream twice.
		all := slices.DeleteFunc(l.top(), func(s Stream) bool {
			twice := r.found[s.Name]
			r.found[s.Name] = true
			return twice
		})
		if streams[node], err = r.reducible(ctx, all); err != nil {
			return nil, err
		}
	}
	return streams, nil
}

func (r *relief) measurePage(ctx context.Context, names []string, found map[string]*largest) error {
	sizes, err := r.in.Store.Sizes(ctx, names)
	if err != nil {
		return err
	}
	for i, name := range names {
		node, err := r.in.Store.NodeOf(ctx, name)
		if err != nil {
			return err
		}
		if l := found[node]; l != nil && sizes[i] > 0 {
			l.add(Stream{Name: name, Bytes: sizes[i]})
		}
	}
	return nil
}

// reducible asks for the lengths, and drops the streams that may lose nothing.
func (r *relief) reducible(ctx context.Context, all []Stream) ([]Stream, error) {
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].Name
	}
	infos, err := r.in.Store.Infos(ctx, names)
	if err != nil {
		return nil, err
	}
	var streams []Stream
	for i, s := range all {
		info := infos[i]
		policy := r.in.Policies.Reduced(s.Name, 1)
		switch {
		case info.Err != nil, !info.Exists(), info.Length == 0:
			continue
		case !info.LastID.IsTime(r.in.Now), !info.First.Less(policy.MinAgeFloor(r.in.Now)):
			continue
		case info.Nodes == 1: // only whole macro nodes free memory
			continue
		}
		s.Length, s.Least = info.Length, policy.MaxLength
		streams = append(streams, s)
	}
	return streams, r.weighEntries(ctx, streams)
}

// estimatedAtOnce is of how many streams the memory is estimated where Redis cannot
// count it: each takes some hundred looks at its entries.
const estimatedAtOnce = 16

// weighEntries measures what the entries of streams take: what was asked of all
// streams reads the oldest macro nodes or entries alone. A stream that cannot be
// measured keeps what that said.
func (r *relief) weighEntries(ctx context.Context, streams []Stream) error {
	slices.SortFunc(streams, bySize)
	names := make([]string, len(streams))
	for i := range streams {
		names[i] = streams[i].Name
	}
	memories, err := r.in.Store.EntryMemories(ctx, names)
	if err != nil {
		return err
	}
	estimated := 0
	for i, m := range memories {
		if m.Uncounted && estimated < estimatedAtOnce {
			estimated++
			if m, err = r.in.Store.EstimateEntryMemory(ctx, names[i], m); err != nil {
				return err
			}
		}
		if m.Err == nil && !m.Uncounted && m.Length > 0 {
			streams[i].Bytes = int64(float64(m.Bytes) / float64(m.Length) * float64(streams[i].Length))
		}
	}
	return nil
}
