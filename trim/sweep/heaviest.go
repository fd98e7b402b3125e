package sweep

import (
	"context"
	"slices"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/trim"
)

const (
	// heaviestAtOnce is how many streams of a node are looked at closely.
	heaviestAtOnce = 1024
	// sizesAtOnce is how many sizes one pipeline asks for.
	sizesAtOnce = 32
)

// heaviest are the streams of a node that hold most bytes, and at most as many
// more that were met since the others were dropped.
type heaviest []weight

// add keeps a stream for as long as it may be among the largest.
func (h *heaviest) add(w weight) {
	if *h = append(*h, w); len(*h) >= 2*heaviestAtOnce {
		*h = h.largest()
	}
}

func (h *heaviest) largest() []weight {
	slices.SortFunc(*h, bySize)
	return (*h)[:min(len(*h), heaviestAtOnce)]
}

// weigh finds the largest streams of the given nodes, without those that were
// found before, and what is to be known of them. A stream whose policy keeps
// everything is not among them, nor one whose ids are no times: its entries
// have no age that could protect them.
func (r *run) weigh(ctx context.Context, nodes map[string]buffer.NodeMemory, found map[string]bool) (map[string][]weight, error) {
	heaps := make(map[string]*heaviest, len(nodes))
	for node := range nodes {
		heaps[node] = &heaviest{}
	}
	err := r.yield(func() error {
		return r.store.WalkStreams(ctx, func(page []string) error {
			page = slices.DeleteFunc(slices.Clone(page), func(name string) bool { return found[name] || r.o.Policies.For(name).KeepsAll() })
			for part := range slices.Chunk(page, sizesAtOnce) {
				if err := r.weighPart(ctx, part, heaps); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	largest := make(map[string][]weight, len(heaps))
	for node, h := range heaps {
		// The walk of a set may name a stream twice.
		all := slices.DeleteFunc(h.largest(), func(w weight) bool {
			twice := found[w.stream]
			found[w.stream] = true
			return twice
		})
		if largest[node], err = r.learnWeights(ctx, all); err != nil {
			return nil, err
		}
	}
	return largest, nil
}

func (r *run) weighPart(ctx context.Context, names []string, heaps map[string]*heaviest) error {
	sizes, err := r.store.Sizes(ctx, names)
	if err != nil {
		return err
	}
	for i, name := range names {
		node, err := r.store.NodeOf(ctx, name)
		if err != nil {
			return err
		}
		if h := heaps[node]; h != nil && sizes[i] > 0 {
			h.add(weight{stream: name, bytes: sizes[i]})
		}
	}
	return nil
}

// learnWeights asks for the lengths, and drops the streams that may lose
// nothing.
func (r *run) learnWeights(ctx context.Context, all []weight) ([]weight, error) {
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].stream
	}
	var infos []buffer.StreamInfo
	if err := r.yield(func() (err error) {
		infos, err = r.store.Infos(ctx, names)
		return err
	}); err != nil {
		return nil, err
	}
	var known []weight
	for i, w := range all {
		info := infos[i]
		policy := r.o.Policies.Reduced(w.stream, 1)
		floor := policy.Floor(r.now)
		switch {
		case info.Err != nil, !info.Exists(), info.Length == 0:
			continue
		case !info.LastID.IsTime(r.now), !info.First.Less(floor):
			continue
		case info.Nodes == 1 && !policy.Exact: // only whole macro nodes go
			continue
		}
		w.length, w.least = info.Length, 1
		if r.planning {
			w.least = above(info, floor)
			if err := r.learnNeeded(ctx, &w, info); err != nil {
				return nil, err
			}
		}
		known = append(known, w)
	}
	return known, nil
}

// learnNeeded learns which consumer group keeps a stream from losing entries.
func (r *run) learnNeeded(ctx context.Context, w *weight, info buffer.StreamInfo) error {
	f := trim.StreamStats{Stream: w.stream, Info: info}
	if err := r.yield(func() error { return r.learnGroups(ctx, &f) }); err != nil {
		return err
	}
	if f.NeededEntries > w.least {
		w.heldBy, w.needed = f.HeldBy, f.NeededEntries-w.least
		w.least = f.NeededEntries
	}
	return nil
}
