package cleanup

import "hash/maphash"

// owners is the set of the streams that sessions name, as a Bloom filter: its
// size follows the number of streams, not of sessions. It may take a stream
// for owned that is not, which keeps the stream until the next run, whose
// filter has another seed; it never misses one.
type owners struct {
	seed maphash.Seed
	bits []uint64
}

const (
	bitsPerStream = 16
	minFilterBits = 1 << 16
	filterHashes  = 6
)

func newOwners(streams int64) *owners {
	bits := max(minFilterBits, streams*bitsPerStream)
	return &owners{seed: maphash.MakeSeed(), bits: make([]uint64, (bits+63)/64)}
}

func (o *owners) add(stream string) {
	for i := range o.places(stream) {
		o.bits[i/64] |= 1 << (i % 64)
	}
}

func (o *owners) has(stream string) bool {
	for i := range o.places(stream) {
		if o.bits[i/64]&(1<<(i%64)) == 0 {
			return false
		}
	}
	return true
}

// places are the filter's bits for a name, by double hashing.
func (o *owners) places(stream string) func(func(uint64) bool) {
	hash := maphash.String(o.seed, stream)
	step := hash>>32 | 1
	size := uint64(len(o.bits)) * 64
	return func(yield func(uint64) bool) {
		for range filterHashes {
			if !yield(hash % size) {
				return
			}
			hash += step
		}
	}
}
