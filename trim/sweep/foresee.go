package sweep

import (
	"context"
	"slices"
	"strings"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/trim"
)

// outlook is what a plan foresees of pressure. The zero value is none.
type outlook struct {
	nodes   map[string]buffer.NodeMemory
	streams map[string][]weight
	// actions are what the policies alone remove from those streams.
	actions map[string]trim.Action
}

// foresee weighs the largest streams of the nodes that are too full. What the
// policies remove of others is not taken into account, so a run may remove less.
func (r *run) foresee(ctx context.Context) (o outlook, err error) {
	if !r.minds() || !r.byAge {
		return o, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	nodes, err := r.memories(ctx)
	if err != nil {
		return o, err
	}
	for node, m := range nodes {
		if nextMove(m, r.o.Pressure) != tighten {
			delete(nodes, node)
		}
	}
	if len(nodes) == 0 {
		return o, nil
	}
	o = outlook{nodes: nodes, actions: make(map[string]trim.Action)}
	o.streams, err = r.weigh(ctx, nodes, make(map[string]bool))
	for _, streams := range o.streams {
		for _, w := range streams {
			o.actions[w.stream] = trim.Action{Stream: w.stream}
		}
	}
	return o, err
}

// sift holds back what is planned for the streams of the outlook.
func (o outlook) sift(visit func(trim.Action)) func(trim.Action) {
	return func(a trim.Action) {
		if _, ours := o.actions[a.Stream]; ours {
			o.actions[a.Stream] = a
			return
		}
		visit(a)
	}
}

// planPressure adds what pressure takes on top of what the policies do.
func (r *run) planPressure(o outlook, visit func(trim.Action)) {
	if len(o.nodes) == 0 {
		return
	}
	cut := 0
	for node, m := range o.nodes {
		cut += r.planCuts(o, m, o.streams[node])
		for _, w := range o.streams[node] {
			if a := o.actions[w.stream]; a.Entries > 0 || len(a.Protected) > 0 {
				visit(a)
			}
		}
	}
	r.report.Pressure = fullness(fullestOf(o.nodes), r.o.Pressure) + ": " + keepLess(cut, "would keep", "would keep")
}

// planCuts decides for the largest streams of one node, and says how many of
// them would keep less.
func (r *run) planCuts(o outlook, m buffer.NodeMemory, streams []weight) int {
	need := excess(m, r.o.Pressure)
	for i := range streams {
		w := &streams[i]
		plain := min(o.actions[w.stream].Entries, w.length)
		need -= w.bytesOf(plain)
		w.lose(plain)
	}
	keeps, missing := allSteps(need, streams)
	for stream, keep := range keeps {
		a := o.actions[stream]
		w := find(streams, stream)
		if a.Entries == 0 {
			r.report.StreamsTrimmed++
		}
		r.report.EntriesRemoved += w.length - keep
		a.Entries, a.Estimated = a.Entries+w.length-keep, true
		if a.Reason != "" {
			a.Reason += "; "
		}
		s := shorter{keep: keep, of: w.length}
		a.Reason += fullness(m, r.o.Pressure) + ": " + s.String()
		o.actions[stream] = a
	}
	for _, w := range streams {
		if missing > 0 && w.heldBy != "" {
			a := o.actions[w.stream]
			protectByGroup(&a, w)
			o.actions[w.stream] = a
		}
	}
	return len(keeps)
}

// protectByGroup says what would go for want of memory if no consumer group
// needed it.
func protectByGroup(a *trim.Action, w weight) {
	p := trim.Protection{By: trim.ProtectedByGroup, Group: w.heldBy, Entries: w.needed, Reason: trim.StillNeeds(w.heldBy, w.least)}
	a.Protected = slices.DeleteFunc(slices.Clone(a.Protected), func(p trim.Protection) bool { return p.By == trim.ProtectedByGroup })
	a.Protected = append(a.Protected, p)
	if a.Reason != "" && !strings.Contains(a.Reason, p.Reason) {
		a.Reason += "; " + p.Reason
	}
}

// allSteps are the lengths to which streams are cut until the bytes that are
// needed are free, or nothing more may go, and how many bytes are missing then.
// The streams stay as they are.
func allSteps(need int64, streams []weight) (keeps map[string]int64, missing int64) {
	left := append([]weight(nil), streams...)
	keeps = make(map[string]int64)
	for need > 0 {
		cuts := squeeze(need, left)
		if len(cuts) == 0 {
			break
		}
		for _, c := range cuts {
			w := find(left, c.stream)
			need -= w.bytesOf(w.length - c.keep)
			w.lose(w.length - c.keep)
			keeps[c.stream] = c.keep
		}
	}
	return keeps, max(0, need)
}
