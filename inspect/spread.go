package inspect

import "github.com/streamkeeper/streamkeeper/buffer"

// gap is a range of ids, the last not included, that no message was read from.
// Those past any id are not in a gap but the first, whose end is 0-0.
type gap struct {
	from, before buffer.ID
	// low says that the upper half turned out to be empty.
	low bool
}

// spread chooses which messages of a stream to look at: the newest, the
// oldest, and then always the one in the middle of the widest range of ids
// that is left. The ranges never overlap, so no message is sent twice. It
// knows nothing of the stream but what it is told.
type spread struct {
	want int
	seen int
	gaps []gap
	// asked is the gap that the last question was about, and window the
	// question.
	asked  gap
	window gap
}

func newSpread(want int) *spread {
	return &spread{want: want, gaps: []gap{{}}}
}

// next returns the range to look into, and whether for its last message
// rather than its first; ok is false when nothing is left to look for.
func (s *spread) next() (from, before buffer.ID, last, ok bool) {
	if s.seen >= s.want || len(s.gaps) == 0 {
		return buffer.ID{}, buffer.ID{}, false, false
	}
	widest := 0
	for i := range s.gaps {
		if s.gaps[i].wider(s.gaps[widest]) {
			widest = i
		}
	}
	s.asked = s.gaps[widest]
	s.gaps[widest] = s.gaps[len(s.gaps)-1]
	s.gaps = s.gaps[:len(s.gaps)-1]
	s.window = s.asked
	if s.seen > 1 && !s.asked.low {
		s.window.from = s.asked.middle()
	}
	return s.window.from, s.window.before, s.takesLast(), true
}

// takesLast reports whether the window is read from its end.
func (s *spread) takesLast() bool { return s.seen == 0 || s.window.low }

// found tells that the window held the message with that id.
func (s *spread) found(id buffer.ID) {
	last := s.takesLast()
	s.seen++
	if last {
		s.add(gap{from: s.window.from, before: id})
		return
	}
	s.add(gap{from: s.asked.from, before: s.window.from})
	s.add(gap{from: after(id), before: s.window.before})
}

// empty tells that the window held no message.
func (s *spread) empty() {
	s.add(gap{from: s.asked.from, before: s.window.from, low: true})
}

func (s *spread) add(g gap) {
	if g.from.Less(g.before) {
		s.gaps = append(s.gaps, g)
	}
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

// middle is an id that splits the gap, or its first where it cannot be split.
func (g gap) middle() buffer.ID {
	ms, seq := g.width()
	middle := buffer.ID{Ms: g.from.Ms, Seq: g.from.Seq + seq/2}
	if ms > 0 {
		middle = buffer.ID{Ms: g.from.Ms + ms/2 + ms%2}
	}
	if !middle.Less(g.before) {
		return g.from
	}
	return middle
}

// after is the smallest id above another.
func after(id buffer.ID) buffer.ID { return id.Next() }
