package cleanup

import (
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// sketch stands for the names of a decision: the smallest of their hashes. Two of
// them tell how many names are new, exactly where there are few.
type sketch struct{ hashes []uint64 } // in order

// sketchSize is how many hashes are kept.
const sketchSize = 128

// add takes a name in. The hash is the same in every process.
func (s *sketch) add(kind Kind, name string) {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(string(kind) + " " + name))
	// The upper bits of the sum alone are not even enough for short names.
	hash := sum.Sum64()
	hash = (hash ^ hash>>33) * 0xff51afd7ed558ccd
	hash = (hash ^ hash>>33) * 0xc4ceb9fe1a85ec53
	hash ^= hash >> 33
	at, known := slices.BinarySearch(s.hashes, hash)
	if known || at == sketchSize {
		return
	}
	s.hashes = slices.Insert(s.hashes, at, hash)
	s.hashes = s.hashes[:min(len(s.hashes), sketchSize)]
}

// isWhole reports whether all names are in it.
func (s *sketch) isWhole() bool { return len(s.hashes) < sketchSize }

// newSince counts the names that an earlier sketch has not, among so many of
// which it can tell.
func (s *sketch) newSince(before sketch) (fresh, among int64) {
	for _, hash := range s.hashes {
		if !before.isWhole() && hash > before.hashes[sketchSize-1] {
			break
		}
		among++
		if _, known := slices.BinarySearch(before.hashes, hash); !known {
			fresh++
		}
	}
	return fresh, among
}

// isSameAs reports whether the names are the same but for a tenth of so many: one
// where there are few, and what chance adds to a tenth where only a part of them
// can be compared.
func (s *sketch) isSameAs(before sketch, count int64) bool {
	fresh, among := s.newSince(before)
	if s.isWhole() && before.isWhole() {
		return fresh <= slack(count)
	}
	return among > 0 && 5*fresh <= among
}

// The members of the note in which a sketch lies.
const sketchLen = "names"

func sketchFact(i int) string { return fmt.Sprint("name_", i) }

// noteIn writes a sketch into a note.
func (s *sketch) noteIn(f buffer.StateFields) {
	f[sketchLen] = int64(len(s.hashes))
	for i, hash := range s.hashes {
		f[sketchFact(i)] = int64(hash)
	}
}

// sketchOf reads what noteIn wrote.
func sketchOf(f buffer.StateFields) (s sketch) {
	for i := range min(sketchSize, f[sketchLen]) {
		s.hashes = append(s.hashes, uint64(f[sketchFact(int(i))]))
	}
	slices.Sort(s.hashes)
	return s
}
