package sweep

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// What one step of pressure does: a stream keeps seven eighths of what it kept,
// and gets them back once memory is well below the limit.
const (
	stepPart, stepWhole = 7, 8
	// pressureSlack is how far below the limit memory must be, as a share of
	// maxmemory, before retention relaxes.
	pressureSlack = 0.05
)

// move is what pressure does next on a node.
type move int

const (
	holdOn move = iota
	tighten
	relax
)

// nextMove decides by how full a node is. One without maxmemory has no pressure.
func nextMove(m buffer.NodeMemory, limit float64) move {
	switch share := m.Share(); {
	case share > limit:
		return tighten
	case share < limit-min(pressureSlack, limit/2):
		return relax
	}
	return holdOn
}

// excess is how many bytes a node holds above the limit.
func excess(m buffer.NodeMemory, limit float64) int64 {
	return max(0, m.Used-int64(limit*float64(m.Limit)))
}

// weight is a stream that holds much of a node's memory.
type weight struct {
	stream string
	// bytes and length are what it holds.
	bytes, length int64
	// kept is the length that the last step asked for, 0 before the first:
	// whole macro nodes may have left more.
	kept int64
	// least is the length below which nothing goes.
	least int64
	// heldBy is the consumer group because of which that is more than age alone
	// would keep, by so many entries as are needed; known to plans only.
	heldBy string
	needed int64
}

// cut is one stream's part of a step.
type cut struct {
	stream string
	keep   int64
}

// squeeze decides one step: the largest stream that may lose entries keeps a
// part of what it kept, and so do those that are about as large, but no more of
// them than free the bytes that are needed. So large ones come down to the
// others before those lose anything. No cuts means that no stream may lose more.
func squeeze(need int64, streams []weight) []cut {
	slices.SortFunc(streams, bySize)
	var cuts []cut
	var largest int64
	for _, w := range streams {
		if need <= 0 || w.bytes < largest*stepPart/stepWhole {
			break
		}
		from := w.length
		if w.kept > 0 {
			from = min(from, w.kept)
		}
		keep := max(w.least, 1, from*stepPart/stepWhole)
		if keep >= from {
			continue
		}
		cuts = append(cuts, cut{w.stream, keep})
		largest = max(largest, w.bytes)
		need -= w.bytesOf(w.length - keep)
	}
	return cuts
}

// bySize orders streams, the largest first.
func bySize(a, b weight) int {
	return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(a.stream, b.stream))
}

// bytesOf is roughly what so many of the entries take.
func (w weight) bytesOf(entries int64) int64 {
	return int64(float64(w.bytes) * float64(entries) / float64(max(1, w.length)))
}

// lose takes entries off a stream.
func (w *weight) lose(entries int64) {
	w.bytes -= w.bytesOf(entries)
	w.length -= entries
}

// shorter is what a stream keeps less than its policy says.
type shorter struct {
	// keep is a length, and of the one that it had before.
	keep, of   int64
	entryBytes int64
}

// relaxed is one step back; false when it has come back to what it had, from
// where on the policy alone holds.
func (s shorter) relaxed() (shorter, bool) {
	s.keep = s.keep*stepWhole/stepPart + 1
	return s, s.keep < s.of
}

func (s shorter) String() string {
	return fmt.Sprintf("keeps %s of %s", human.Count(s.keep), human.Count(s.of))
}

// fullness says how full a node is, and from where on that is too much.
func fullness(m buffer.NodeMemory, limit float64) string {
	return fmt.Sprintf("memory at %.0f %% of maxmemory (limit %.0f %%)", 100*m.Share(), 100*limit)
}
