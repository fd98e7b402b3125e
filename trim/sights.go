package trim

import "hash/maphash"

// sights remembers, for each stream that was asked once, how large its entries
// are; that it is remembered at all means that its ids are times. It keeps a
// hash of the name, so that a million streams take some twenty megabytes; two
// names with one hash are less likely than a broken memory chip.
type sights struct {
	seed    maphash.Seed
	entries map[uint64]int32
}

func newSights() *sights {
	return &sights{seed: maphash.MakeSeed(), entries: make(map[uint64]int32)}
}

func (s *sights) get(stream string) (entryBytes int64, ok bool) {
	n, ok := s.entries[maphash.String(s.seed, stream)]
	return int64(n), ok
}

func (s *sights) put(stream string, entryBytes int64) {
	s.entries[maphash.String(s.seed, stream)] = int32(min(entryBytes, 1<<30))
}

// forget makes every stream be asked again: a stream may have been removed
// and made anew with other ids.
func (s *sights) forget() { clear(s.entries) }
