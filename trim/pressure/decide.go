// Package pressure decides what streams keep while Redis is near its maxmemory.
//
// The largest streams lose entries first, step by step, and never an entry that
// is younger than the least age. They get their retention back step by step once
// there is room again.
package pressure

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// What one step does: a stream keeps seven eighths of what it kept, and gets
// them back once memory is well below the limit.
const (
	stepPart, stepWhole = 7, 8
	// slack is how far below the limit memory must be, as a share of maxmemory,
	// before retention relaxes.
	slack = 0.05
)

// Move is what happens next to the streams of a node.
type Move int

// The moves.
const (
	HoldOn Move = iota
	Tighten
	Relax
)

// NextMove decides by how full a node is. One without maxmemory has no pressure.
func NextMove(m buffer.NodeMemory, limit float64) Move {
	switch share := m.Share(); {
	case share > limit:
		return Tighten
	case share < limit-min(slack, limit/2):
		return Relax
	}
	return HoldOn
}

// Excess is how many bytes a node holds above the limit.
func Excess(m buffer.NodeMemory, limit float64) int64 {
	return max(0, m.Used-int64(limit*float64(m.Limit)))
}

// Stream is a stream that holds much of a node's memory.
type Stream struct {
	Name string
	// Bytes and Length, in entries, are what it holds.
	Bytes, Length int64
	// Kept is the length that the last step asked for, 0 before the first:
	// whole macro nodes may have left more.
	Kept int64
	// Least is the length below which nothing goes.
	Least int64
}

// Step is one stream's part of a step.
type Step struct {
	Stream string
	// Keep is how many of the newest entries stay.
	Keep int64
}

// PlanStep decides one step: the largest stream that may lose entries keeps a
// part of what it kept, and so do those that are about as large, but no more of
// them than free the bytes that are needed. So large ones come down to the
// others before those lose anything. No steps mean that no stream may lose more.
func PlanStep(need int64, streams []Stream) []Step {
	slices.SortFunc(streams, bySize)
	var steps []Step
	var largest int64
	for _, s := range streams {
		if need <= 0 || s.Bytes < largest*stepPart/stepWhole {
			break
		}
		from := s.Length
		if s.Kept > 0 {
			from = min(from, s.Kept)
		}
		keep := max(s.Least, 1, from*stepPart/stepWhole)
		if keep >= from {
			continue
		}
		steps = append(steps, Step{s.Name, keep})
		largest = max(largest, s.Bytes)
		need -= s.bytesOf(s.Length - keep)
	}
	return steps
}

// bySize orders streams, the largest first.
func bySize(a, b Stream) int {
	return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Name, b.Name))
}

// entryBytes is roughly what an entry takes.
func (s Stream) entryBytes() int64 { return max(1, s.Bytes/max(1, s.Length)) }

// bytesOf is roughly what so many of the entries take.
func (s Stream) bytesOf(entries int64) int64 {
	return int64(float64(s.Bytes) * float64(entries) / float64(max(1, s.Length)))
}

// lose takes entries off a stream.
func (s *Stream) lose(entries int64) {
	s.Bytes -= s.bytesOf(entries)
	s.Length -= entries
}

// Reduction is what a stream keeps less than its policy says.
type Reduction struct {
	// Keep is a number of entries, and Of the one that the stream had before.
	Keep, Of int64
	// EntryBytes is roughly what an entry takes.
	EntryBytes int64
}

// Relaxed is one step back; false when the stream may have what it had, from
// where on its policy alone holds.
func (r Reduction) Relaxed() (Reduction, bool) {
	r.Keep = r.Keep*stepWhole/stepPart + 1
	return r, r.Keep < r.Of
}

// String says what the stream keeps: "keeps 875 of 1 000".
func (r Reduction) String() string {
	return fmt.Sprintf("keeps %s of %s", human.Count(r.Keep), human.Count(r.Of))
}

// Fullness says how full a node is, and from where on that is too much.
func Fullness(m buffer.NodeMemory, limit float64) string {
	return fmt.Sprintf("memory at %.0f %% of maxmemory (limit %.0f %%)", 100*m.Share(), 100*limit)
}
