package sweep

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/trim"
)

// pressure is what is remembered of memory from run to run. A keeper that
// starts anew knows of no stream that keeps less: if memory is still short, it
// finds them again.
type pressure struct {
	shorter map[string]shorter
	// under are the nodes on which retention is tightened.
	under map[string]bool
	// complaint is why it cannot work, as it was said last.
	complaint string
	// spent: the last run found that nothing more may go.
	spent bool
}

func newPressure() *pressure {
	return &pressure{shorter: make(map[string]shorter), under: make(map[string]bool)}
}

// weighings bounds how often one run looks for the largest streams; once is
// enough for one that follows where nothing more could go.
const weighings = 4

// shorterPage is how many of the streams that keep less are looked at together.
const shorterPage = 128

// minds reports whether memory counts. Without an age below which nothing goes
// it does not, as there would be no end to it.
func (t *Sweeper) minds() bool { return t.o.Pressure > 0 && t.o.Policies.Default.MinAge > 0 }

// press makes streams keep less while a node uses more of its memory than it
// should, the largest first, until it does not or nothing more may go; and
// lets them have it back, a step a run. Memory has a time budget of its own:
// a long backlog must not keep it from being freed.
func (r *run) press(ctx context.Context) error {
	if !r.minds() || !r.byAge {
		return nil
	}
	backlog := r.waiting
	r.waiting, r.start = nil, time.Now()
	defer func() { r.waiting = backlog }()
	nodes, err := r.memories(ctx)
	if err != nil || nodes == nil {
		return err
	}
	if err := r.turnTo(ctx, nodes); err != nil {
		return err
	}
	if err := r.keepShorter(ctx); err != nil {
		return err
	}
	nodes, err = r.free(ctx, nodes)
	r.sayPressure(nodes)
	return err
}

// memories is how full each node with a maxmemory is; nil if none is known.
func (r *run) memories(ctx context.Context) (map[string]buffer.NodeMemory, error) {
	var all []buffer.NodeMemory
	err := r.yield(func() (err error) {
		all, err = r.store.Memories(ctx)
		return err
	})
	if buffer.ClassOf(err) == buffer.ClassAuth {
		r.complain("the Redis user may not ask for the server's memory (+info)")
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	nodes := make(map[string]buffer.NodeMemory, len(all))
	unlimited := ""
	for _, m := range all {
		if nodes[m.Node] = m; m.Limit <= 0 {
			unlimited = "Redis has no maxmemory"
		}
	}
	r.complain(unlimited)
	return nodes, nil
}

// complain says why memory cannot count, once.
func (r *run) complain(why string) {
	if why != "" && why != r.pressure.complaint {
		r.o.Log.Warn("TRIM_PRESSURE is off: it cannot work", "why", why)
	}
	r.pressure.complaint = why
}

// turnTo says where pressure begins and ends, and gives one step back where
// there is room again.
func (r *run) turnTo(ctx context.Context, nodes map[string]buffer.NodeMemory) error {
	shorter := make(map[string]int)
	for name, s := range r.pressure.shorter {
		node, err := r.store.NodeOf(ctx, name)
		if err != nil {
			return err
		}
		if nextMove(nodes[node], r.o.Pressure) == relax {
			var still bool
			if s, still = s.relaxed(); !still {
				delete(r.pressure.shorter, name)
				continue
			}
			r.pressure.shorter[name] = s
		}
		shorter[node]++
	}
	for node, m := range nodes {
		switch next := nextMove(m, r.o.Pressure); {
		case next == tighten && !r.pressure.under[node]:
			r.pressure.under[node] = true
			r.o.Log.Warn("memory is short: streams keep less, the largest first", memoryOf(m, r.o.Pressure)...)
		case next == relax && shorter[node] == 0 && r.pressure.under[node]:
			delete(r.pressure.under, node)
			r.o.Log.Warn("memory is no longer short: streams keep what their policies say", memoryOf(m, r.o.Pressure)...)
		}
	}
	return nil
}

// memoryOf is a node's memory for the log.
func memoryOf(m buffer.NodeMemory, limit float64) []any {
	attrs := []any{"memory_used", m.Used, "maxmemory", m.Limit, "why", fullness(m, limit)}
	if m.Node != "" {
		attrs = append(attrs, "node", m.Node)
	}
	return attrs
}

// keepShorter holds the streams that keep less to it. One that has gone, or
// that was made anew with ids that are no times, is forgotten.
func (r *run) keepShorter(ctx context.Context) error {
	for part := range slices.Chunk(slices.Sorted(maps.Keys(r.pressure.shorter)), shorterPage) {
		page := make([]candidate, len(part))
		for i, name := range part {
			s := r.pressure.shorter[name]
			page[i] = candidate{name: name, policy: r.o.Policies.Reduced(name, s.keep), entryBytes: s.entryBytes, timeIDs: true}
		}
		if err := r.learnLengths(ctx, page); err != nil {
			return err
		}
		if err := r.learnLastIDs(ctx, pick(page, func(c *candidate) bool { return !c.skip && c.length > 0 })); err != nil {
			return err
		}
		for i := range page {
			switch c := &page[i]; {
			case c.skip, c.length == 0, !c.timeIDs:
				delete(r.pressure.shorter, c.name)
			case c.length > c.policy.MaxLength:
				r.wait(c, trim.ByPressure, c.length-c.policy.MaxLength)
			}
		}
	}
	return r.drain(ctx)
}

// free goes step after step until each node is below the limit, nothing more
// may go, or time is up. It returns how full the nodes are then.
func (r *run) free(ctx context.Context, nodes map[string]buffer.NodeMemory) (map[string]buffer.NodeMemory, error) {
	f := freeing{run: r, found: make(map[string]bool), streams: make(map[string][]weight), cut: make(map[string]bool)}
	steps := 0
	for ; !r.isLate(); steps++ {
		full := maps.Clone(nodes)
		maps.DeleteFunc(full, func(_ string, m buffer.NodeMemory) bool { return nextMove(m, r.o.Pressure) != tighten })
		if len(full) == 0 {
			r.pressure.spent = false
			break
		}
		cuts, err := f.decide(ctx, full)
		if err != nil {
			return nodes, err
		}
		if cuts == 0 {
			r.saySpent(full)
			break
		}
		if err := f.act(ctx); err != nil {
			return nodes, err
		}
		after, err := r.memories(ctx)
		if err != nil || after == nil {
			return nodes, err
		}
		nodes = after
	}
	f.say(steps)
	return nodes, nil
}

// freeing is the steps of one run.
type freeing struct {
	*run
	// found are the streams that were weighed, and streams the largest of
	// each node that are worked on.
	found     map[string]bool
	weighings int
	streams   map[string][]weight
	// cuts is the next step, by node; cut are the streams of all steps.
	cuts map[string][]cut
	cut  map[string]bool
}

// decide is the next step of the nodes that are too full: how many streams it
// cuts. Where the largest streams have nothing more to lose, the next ones
// are looked for.
func (f *freeing) decide(ctx context.Context, full map[string]buffer.NodeMemory) (cuts int, err error) {
	for {
		f.cuts = make(map[string][]cut)
		for node, m := range full {
			if f.cuts[node] = squeeze(excess(m, f.o.Pressure), f.streams[node]); len(f.cuts[node]) > 0 {
				cuts += len(f.cuts[node])
			}
		}
		if cuts > 0 || f.weighings >= weighings || f.weighings > 0 && f.pressure.spent {
			return cuts, nil
		}
		f.weighings++
		before := len(f.found)
		if f.streams, err = f.weigh(ctx, full, f.found); err != nil || len(f.found) == before {
			return 0, err
		}
	}
}

// act takes the step, and learns what came of it.
func (f *freeing) act(ctx context.Context) error {
	before := make(map[string]int64)
	for node, cuts := range f.cuts {
		for _, c := range cuts {
			w := find(f.streams[node], c.stream)
			w.kept = c.keep
			before[c.stream] = f.pressed[c.stream]
			f.wait(&candidate{
				name: c.stream, policy: f.o.Policies.Reduced(c.stream, c.keep), length: w.length,
				entryBytes: max(1, w.bytes/w.length), timeIDs: true,
			}, trim.ByPressure, w.length-c.keep)
		}
	}
	if err := f.drain(ctx); err != nil {
		return err
	}
	for node, cuts := range f.cuts {
		for _, c := range cuts {
			f.learn(find(f.streams[node], c.stream), f.pressed[c.stream]-before[c.stream])
		}
	}
	return nil
}

func find(streams []weight, name string) *weight {
	return &streams[slices.IndexFunc(streams, func(w weight) bool { return w.stream == name })]
}

// learn notes what a step took from a stream. Whole macro nodes leave a little
// more than was asked for; where more than that is left, its age protects it,
// or a consumer group.
func (f *freeing) learn(w *weight, removed int64) {
	start := w.length
	w.lose(min(removed, w.length-1))
	if w.length-w.kept > 2*f.nodeEntries(max(1, w.bytes/w.length)) {
		w.least = w.length
	}
	if removed == 0 {
		return
	}
	f.cut[w.stream] = true
	s, known := f.pressure.shorter[w.stream]
	if !known {
		s.of = start
	}
	s.keep, s.entryBytes = max(w.kept, w.least), max(1, w.bytes/w.length)
	f.pressure.shorter[w.stream] = s
}

// say says what the steps did.
func (f *freeing) say(steps int) {
	if len(f.cut) == 0 {
		return
	}
	var entries int64
	for name := range f.cut {
		entries += f.pressed[name]
	}
	most := slices.SortedFunc(maps.Keys(f.cut), func(a, b string) int { return int(f.pressed[b] - f.pressed[a]) })
	var examples []string
	for _, name := range most[:min(3, len(most))] {
		examples = append(examples, buffer.Quote(name)+" "+f.pressure.shorter[name].String())
	}
	f.o.Log.Warn("memory is short: retention got tighter", "steps", steps, "streams", len(f.cut), "entries", entries, "for_example", strings.Join(examples, "; "))
}

// saySpent says once that memory stays short.
func (r *run) saySpent(full map[string]buffer.NodeMemory) {
	if r.pressure.spent {
		return
	}
	r.pressure.spent = true
	for _, m := range full {
		r.o.Log.Warn("memory stays short: nothing more may go from the streams", memoryOf(m, r.o.Pressure)...)
	}
}

// sayPressure puts it into the report.
func (r *run) sayPressure(nodes map[string]buffer.NodeMemory) {
	fullest := fullestOf(nodes)
	n := len(r.pressure.shorter)
	if n == 0 && nextMove(fullest, r.o.Pressure) != tighten {
		return
	}
	r.report.Pressure = fullness(fullest, r.o.Pressure) + ": " + keepLess(n, "keeps", "keep")
}

func keepLess(streams int, one, many string) string {
	if streams == 1 {
		return "1 stream " + one + " less"
	}
	return fmt.Sprintf("%d streams %s less", streams, many)
}

// fullestOf is the node that uses most of its memory.
func fullestOf(nodes map[string]buffer.NodeMemory) (fullest buffer.NodeMemory) {
	for _, m := range nodes {
		if m.Share() >= fullest.Share() {
			fullest = m
		}
	}
	return fullest
}
