package inspect

import (
	"slices"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// gap is a range of ids, the last not included, that no message was read from.
type gap struct {
	from, before buffer.ID
	// low says that its upper part turned out to be empty.
	low bool
}

// unseen is what is remembered of a stream from run to run: the ranges that no
// message was read from. What is left out of gaps, and is before open, was read
// or is empty. The zero value is a stream that nothing is known of.
type unseen struct {
	gaps []gap
	// open begins the range that has no end, where new messages come.
	open buffer.ID
}

// maxGaps bounds what is remembered of a stream: about four runs' worth. The
// narrowest are forgotten first; their messages are as good as seen until all
// others were.
const maxGaps = 32

// question is what a spread asks for.
type question uint8

const (
	newest question = iota // the last of all
	oldest                 // the first that was not read
	above                  // the first from a point in a gap on
	below                  // the last before that point, as there was none above
)

// spread chooses which messages of a stream to look at: the newest, the oldest
// that was not read, and then always the one behind a point, chosen by chance, in
// the widest range of ids that is left. The ranges never overlap, so no message is
// read twice until all are read; then it begins anew. It knows nothing of the
// stream but what it is told.
type spread struct {
	unseen
	want, seen int
	// random returns a number below another.
	random func(uint64) uint64
	// asks is the question to ask, about asked, and only within window.
	asks   question
	asked  gap
	window gap
	anew   bool // it has begun anew in this run
}

func newSpread(want int, known unseen, random func(uint64) uint64) *spread {
	known.gaps = slices.Clone(known.gaps)
	return &spread{want: want, unseen: known, random: random}
}

// next returns the range to look into, and whether for its last message
// rather than its first; ok is false when nothing is left to look for.
func (s *spread) next() (from, before buffer.ID, last, ok bool) {
	if s.seen >= s.want {
		return buffer.ID{}, buffer.ID{}, false, false
	}
	switch s.asks {
	case newest:
		s.asked = gap{from: s.open}
		s.window = s.asked
	case oldest:
		if !s.pick(func(a, b gap) bool { return a.from.Less(b.from) }) {
			return s.end()
		}
	default:
		if !s.pick(gap.wider) {
			return s.end()
		}
		if s.asks = below; !s.asked.low {
			s.asks = above
			s.window.from = s.asked.point(s.random)
		}
	}
	return s.window.from, s.window.before, s.asks == newest || s.asks == below, true
}

// end is reached when no range is left. If nothing was seen in this run all was
// seen before, and it begins anew.
func (s *spread) end() (from, before buffer.ID, last, ok bool) {
	known := s.open != buffer.ID{}
	s.unseen = unseen{}
	if s.seen > 0 || s.anew || !known {
		s.want = s.seen
		return buffer.ID{}, buffer.ID{}, false, false
	}
	s.anew, s.asks = true, newest
	return s.next()
}

// pick takes the best range out of the gaps, false if there is none.
func (s *spread) pick(better func(a, b gap) bool) bool {
	if len(s.gaps) == 0 {
		return false
	}
	best := 0
	for i := range s.gaps {
		if better(s.gaps[i], s.gaps[best]) {
			best = i
		}
	}
	s.asked = s.gaps[best]
	s.window = s.asked
	s.gaps[best] = s.gaps[len(s.gaps)-1]
	s.gaps = s.gaps[:len(s.gaps)-1]
	return true
}

// found tells that the window held the message with that id.
func (s *spread) found(id buffer.ID) {
	s.seen++
	switch s.asks {
	case newest:
		s.open = after(id)
		s.add(gap{from: s.window.from, before: id})
		s.asks = oldest
	case oldest:
		s.add(gap{from: after(id), before: s.window.before})
		s.asks = above
	case above:
		s.add(gap{from: s.asked.from, before: s.window.from})
		s.add(gap{from: after(id), before: s.window.before})
	case below:
		s.add(gap{from: s.window.from, before: id})
		s.asks = above
	}
}

// empty tells that the window held no message.
func (s *spread) empty() {
	switch s.asks {
	case newest: // nothing new has come
		s.asks = oldest
	case above:
		s.add(gap{from: s.asked.from, before: s.window.from, low: true})
	case below:
		s.asks = above
	}
}

func (s *spread) add(g gap) {
	if g.from.Less(g.before) {
		s.gaps = append(s.gaps, g)
	}
}

// remember returns what is known now, for the next run.
func (s *spread) remember() unseen {
	slices.SortFunc(s.gaps, func(a, b gap) int {
		switch {
		case a.wider(b):
			return -1
		case b.wider(a):
			return 1
		}
		return 0
	})
	return unseen{gaps: slices.Clone(s.gaps[:min(len(s.gaps), maxGaps)]), open: s.open}
}

// wider reports whether a gap spans more time than another, or more of one
// millisecond.
func (g gap) wider(other gap) bool {
	ms, seq := g.width()
	otherMs, otherSeq := other.width()
	return ms > otherMs || ms == otherMs && seq > otherSeq
}

func (g gap) width() (ms, seq uint64) {
	if ms = g.before.Ms - g.from.Ms; ms > 0 {
		return ms, 0
	}
	return 0, g.before.Seq - g.from.Seq
}

// point is an id in the gap that is chosen by chance. A middle would meet the same
// place of whatever comes in a rhythm, run after run.
func (g gap) point(random func(uint64) uint64) buffer.ID {
	ms, seq := g.width()
	if ms == 0 {
		return buffer.ID{Ms: g.from.Ms, Seq: g.from.Seq + random(seq)}
	}
	if n := random(ms); n > 0 {
		return buffer.ID{Ms: g.from.Ms + n}
	}
	return g.from
}

// after is the smallest id above another.
func after(id buffer.ID) buffer.ID { return id.Next() }
