package pressure

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// maxMeasurements bounds how often one run looks for the largest streams; once
// is enough for one that follows where nothing more could go.
const maxMeasurements = 4

// relief is the steps of one run.
type relief struct {
	in Run
	d  *Reducer
	// log is told of what is removed: in a plan, nobody.
	log *slog.Logger
	// before is how full the nodes were at first.
	before map[string]buffer.NodeMemory
	// found are the streams that were measured, and streams the largest of
	// each node that are worked on.
	found        map[string]bool
	measurements int
	streams      map[string][]Stream
	// lost is how many entries each stream lost, and freed about how many bytes these
	// took together.
	lost  map[string]int64
	freed int64
}

// Result is what [Reducer.Relieve] did.
type Result struct {
	// Short reports that memory still is above the limit: more would go if
	// nothing protected it.
	Short bool

	share         float64
	before, after buffer.NodeMemory
	// streams keep less now, and lost are those that lost entries in this run, which
	// took about so many bytes.
	streams, lost int
	freed         int64
}

// Sentence says how full Redis is and how many streams keep less; empty if none
// does and memory is below the limit.
func (r Result) Sentence() string {
	if r.streams == 0 && !r.Short {
		return ""
	}
	text := Fullness(r.after, r.share) + ": " + keepLess(r.streams, "keeps", "keep")
	if r.freed > 0 {
		text += ", about " + human.Bytes(r.freed) + " freed"
	}
	return text
}

// Forecast says the same of a plan; empty if memory is below the limit.
func (r Result) Forecast() string {
	if NextMove(r.before, r.share) != Tighten {
		return ""
	}
	text := Fullness(r.before, r.share) + ": " + keepLess(r.lost, "would keep", "would keep")
	if r.freed > 0 {
		text += ", which frees about " + human.Bytes(r.freed)
	}
	return text
}

func keepLess(streams int, one, many string) string {
	if streams == 1 {
		return "1 stream " + one + " less"
	}
	return fmt.Sprintf("%d streams %s less", streams, many)
}

// free goes step after step until each node is below the limit, nothing more
// may go, or time is up. It returns how full the nodes are then.
func (r *relief) free(ctx context.Context, nodes map[string]buffer.NodeMemory) (map[string]buffer.NodeMemory, error) {
	steps, reduced := 0, make(map[string]int64)
	for ; !r.in.Late(); steps++ {
		full := maps.Clone(nodes)
		maps.DeleteFunc(full, func(_ string, m buffer.NodeMemory) bool { return NextMove(m, r.in.Share) != Tighten })
		if len(full) == 0 {
			r.d.spent = false
			break
		}
		step, err := r.decide(ctx, full)
		if err != nil {
			return nodes, err
		}
		if len(step) == 0 {
			r.logSpent(full)
			break
		}
		if err := r.act(ctx, step, reduced); err != nil {
			return nodes, err
		}
		after, err := r.memories(ctx)
		if err != nil || after == nil {
			return nodes, err
		}
		nodes = after
	}
	r.logReduced(steps, reduced)
	return nodes, nil
}

// decide is the next step of the nodes that are too full, by node. Where the
// largest streams have nothing more to lose, the next ones are looked for.
func (r *relief) decide(ctx context.Context, full map[string]buffer.NodeMemory) (map[string][]Step, error) {
	for {
		steps := make(map[string][]Step)
		for node, m := range full {
			if step := PlanStep(Excess(m, r.in.Share), r.streams[node]); len(step) > 0 {
				steps[node] = step
			}
		}
		if len(steps) > 0 || r.measurements >= maxMeasurements || r.measurements > 0 && r.d.spent {
			return steps, nil
		}
		r.measurements++
		before := len(r.found)
		var err error
		if r.streams, err = r.measure(ctx, full); err != nil || len(r.found) == before {
			return nil, err
		}
	}
}

// act takes the step, and learns what came of it.
func (r *relief) act(ctx context.Context, step map[string][]Step, reduced map[string]int64) error {
	var targets []Target
	for node, parts := range step {
		why := Fullness(r.before[node], r.in.Share)
		for _, part := range parts {
			s := find(r.streams[node], part.Stream)
			s.Kept = part.Keep
			less := Reduction{Keep: part.Keep, Of: s.Length}
			if before, known := r.d.reduced[s.Name]; known {
				less.Of = before.Of
			}
			targets = append(targets, Target{s.Name, part.Keep, s.Length, s.entryBytes(), why + ": " + less.String()})
		}
	}
	lost, err := r.in.Trim(ctx, targets)
	r.count(targets, lost)
	if err != nil {
		return err
	}
	for node, parts := range step {
		for _, part := range parts {
			if entries := lost[part.Stream]; r.record(find(r.streams[node], part.Stream), entries) {
				reduced[part.Stream] += entries
			}
		}
	}
	return nil
}

func find(streams []Stream, name string) *Stream {
	return &streams[slices.IndexFunc(streams, func(s Stream) bool { return s.Name == name })]
}

// usualNode is how many entries a macro node holds by default.
const usualNode = 100

// record notes what a step took from a stream, and reports whether that was
// anything. Whole macro nodes leave a little more than was asked for; where more
// than that is left, its age protects it, or a consumer group.
func (r *relief) record(s *Stream, removed int64) bool {
	start := s.Length
	s.lose(min(removed, s.Length-1))
	if s.Length-s.Kept > 2*min(usualNode, r.in.Nodes.EntriesPerNode(s.entryBytes())) {
		s.Least = s.Length
	}
	if removed == 0 {
		return false
	}
	less, known := r.d.reduced[s.Name]
	if !known {
		less.Of = start
	}
	less.Keep, less.EntryBytes = max(s.Kept, s.Least), s.entryBytes()
	r.d.reduced[s.Name] = less
	return true
}

// logReduced says what the steps did.
func (r *relief) logReduced(steps int, reduced map[string]int64) {
	if len(reduced) == 0 {
		return
	}
	var entries int64
	for _, n := range reduced {
		entries += n
	}
	most := slices.SortedFunc(maps.Keys(reduced), func(a, b string) int { return int(reduced[b] - reduced[a]) })
	var examples []string
	for _, name := range most[:min(3, len(most))] {
		examples = append(examples, buffer.Quote(name)+" "+r.d.reduced[name].String())
	}
	r.log.Warn("reduced retention", "steps", steps, "streams", len(reduced), "entries", entries, "examples", strings.Join(examples, "; "))
}

// logSpent says once that memory stays short.
func (r *relief) logSpent(full map[string]buffer.NodeMemory) {
	if r.d.spent {
		return
	}
	r.d.spent = true
	for _, m := range full {
		r.log.Warn("memory pressure remains, nothing removable", memoryOf(m, r.in.Share)...)
	}
}

// memoryOf is a node's memory for the log.
func memoryOf(m buffer.NodeMemory, share float64) []any {
	attrs := []any{"memory_used", m.Used, "maxmemory", m.Limit, "why", Fullness(m, share)}
	if m.Node != "" {
		attrs = append(attrs, "node", m.Node)
	}
	return attrs
}

// fullest is the node that uses most of its memory.
func fullest(nodes map[string]buffer.NodeMemory) (most buffer.NodeMemory) {
	for _, m := range nodes {
		if m.Share() >= most.Share() {
			most = m
		}
	}
	return most
}
