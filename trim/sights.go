package trim

import (
	"hash/maphash"
	"time"
)

// sights remembers, for each stream that was looked at closely, how large its
// entries are; that it is remembered at all means that its ids are times. It
// keeps a hash of the name, so that a million streams take some twenty
// megabytes; two names with one hash only share a limit that does not fit one.
type sights struct {
	seed    maphash.Seed
	entries map[uint64]int32
	since   time.Time
}

// sightsLast is how long sights are kept: entries may become larger, and
// streams go.
const sightsLast = time.Hour

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

// forgetOld makes every stream be asked again once in a while.
func (s *sights) forgetOld(now time.Time) {
	if now.Sub(s.since).Abs() > sightsLast {
		clear(s.entries)
		s.since = now
	}
}
