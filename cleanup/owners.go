package cleanup

import (
	"hash/maphash"
	"math/bits"
)

// owners is the set of the streams that sessions name, as a Bloom filter: its
// size, a megabyte at least, follows the number of streams and not of sessions.
// It may take a stream for owned that is not, which keeps the stream until the
// next run, whose filter has another seed; it never misses one.
//
// The bits of a name lie in one block, the size of a cache line: a million
// sessions would else wait for memory longer than for Redis.
type owners struct {
	seed   maphash.Seed
	blocks []block
}

type block [8]uint64

const (
	blockBits     = 512
	bitsPerStream = 24
	minFilterBits = 1 << 23
	filterHashes  = 6
)

func newOwners(streams int64) *owners {
	size := max(minFilterBits, streams*bitsPerStream)
	return &owners{seed: maphash.MakeSeed(), blocks: make([]block, size/blockBits+1)}
}

func (o *owners) add(stream string) {
	b, places := o.place(stream)
	for range filterHashes {
		b[places%blockBits/64] |= 1 << (places % 64)
		places /= blockBits
	}
}

func (o *owners) has(stream string) bool {
	b, places := o.place(stream)
	for range filterHashes {
		if b[places%blockBits/64]&(1<<(places%64)) == 0 {
			return false
		}
		places /= blockBits
	}
	return true
}

// place is a name's block, and its places in it, nine bits each.
func (o *owners) place(stream string) (*block, uint64) {
	hash := maphash.String(o.seed, stream)
	// The block goes by the upper bits, the places by the lower ones.
	i, _ := bits.Mul64(hash, uint64(len(o.blocks)))
	return &o.blocks[i], hash
}
