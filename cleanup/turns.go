package cleanup

import (
	"hash/fnv"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// turns spread the looks at streams over several runs, where one may not read the
// messages of all: each run looks at one part of the streams, by their names, and
// the sessions of the others stay for a later one. The zero value is one part.
type turns struct{ parts, turn int64 }

// The members of the note in which they lie.
const (
	leftParts = "look_parts"
	leftTurn  = "look_turn"
)

// maxParts bounds the parts.
const maxParts = 1024

// turnsOf reads what noteIn wrote.
func turnsOf(f buffer.StateFields) turns {
	return turns{parts: min(max(1, f[leftParts]), maxParts), turn: max(0, f[leftTurn])}
}

func (t turns) noteIn(f buffer.StateFields) { f[leftParts], f[leftTurn] = t.parts, t.turn }

// has reports whether a stream is in the part whose turn it is; alike in every
// process.
func (t turns) has(stream string) bool {
	if t.parts <= 1 {
		return true
	}
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(stream))
	hash := sum.Sum64()
	return (hash^hash>>32)%uint64(t.parts) == uint64(t.turn%t.parts)
}

// next is for the next run: more parts if this one could not read all of its
// part, fewer if it read little.
func (t turns) next(short, little bool) turns {
	switch {
	case short:
		return turns{min(2*max(1, t.parts), maxParts), t.turn + 1}
	case little:
		return turns{max(1, t.parts/2), t.turn + 1}
	}
	return turns{max(1, t.parts), t.turn + 1}
}

// turns are those of this run: what the last one of this process left, else what
// is noted. A run that the guard stopped notes nothing.
func (r *run) turns() turns {
	if r.c.turns.parts > 0 {
		return r.c.turns
	}
	return turnsOf(r.guard.left)
}
