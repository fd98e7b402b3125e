package cleanup

import (
	"hash/maphash"
	"math/bits"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
)

// streamTable holds what a run knows of each listed stream. Its size follows
// the number of names, not of sessions. Names are kept as hashes: two names
// with the same one share their marks, which keeps both.
type streamTable struct {
	seed  maphash.Seed
	marks map[uint64]mark
	// unreadable are the streams that sessions which cannot be read may own.
	unreadable registry.MalformedOwners
	// groups are the consumer groups that are noted as without consumers, and
	// since when.
	groups map[buffer.StreamGroup]time.Time
}

// mark is what a run found out about a stream.
type mark uint8

const (
	// owned: a session names it that stays.
	owned mark = 1 << iota
	// leaving: a session names it that is to expire.
	leaving
	// dying: the first scan decided that it retires, or that its name goes.
	dying
	// later: it waits for a later run, as not all of its expired sessions can be
	// looked for again.
	later
)

func newStreamTable() *streamTable {
	return &streamTable{seed: maphash.MakeSeed(), marks: make(map[uint64]mark)}
}

// list adds a name, and reports whether it is new.
func (t *streamTable) list(name string) bool {
	hash := maphash.String(t.seed, name)
	_, listed := t.marks[hash]
	if !listed {
		t.marks[hash] = 0
	}
	return !listed
}

// set adds a mark to a listed name, and reports whether it is one.
func (t *streamTable) set(name string, m mark) (listed bool) {
	hash := maphash.String(t.seed, name)
	marks, listed := t.marks[hash]
	if listed && marks&m == 0 {
		t.marks[hash] = marks | m
	}
	return listed
}

// has reports whether a name has a mark.
func (t *streamTable) has(name string, m mark) bool {
	return t.marks[maphash.String(t.seed, name)]&m != 0
}

// filter is a set of hashes of a fixed size, as a Bloom filter: it may hold
// some that were never added, and never misses one.
//
// The bits of a hash lie in one word: a million sessions would else wait for memory
// longer than for Redis.
type filter []uint64

const filterWords = 1 << 17 // a megabyte

func newFilter() filter { return make(filter, filterWords) }

func (f filter) add(hash uint64) {
	word, set := f.place(hash)
	*word |= set
}

func (f filter) has(hash uint64) bool {
	word, set := f.place(hash)
	return *word&set == set
}

// place is the word of a hash, and its four bits in it: the word goes by the upper
// bits of the hash, the bits by six of the lower ones each.
func (f filter) place(hash uint64) (word *uint64, set uint64) {
	i, _ := bits.Mul64(hash, uint64(len(f)))
	return &f[i], 1<<(hash&63) | 1<<(hash>>6&63) | 1<<(hash>>12&63) | 1<<(hash>>18&63)
}
