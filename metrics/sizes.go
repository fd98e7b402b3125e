package metrics

import (
	"hash/maphash"
	"sync"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// sizes are what an entry takes in memory in the mean, of each stream that was
// measured. Not all of 100 000 streams can be measured in each reading: what a
// stream takes is then estimated by this and its length, which each reading knows.
// Streams are measured in turn.
type sizes struct {
	mu    sync.Mutex
	known map[uint64]size // by a hash of the name
	seed  maphash.Seed
	// sum is that of the means that are known, of so many streams.
	sum   float64
	count int
	// turn is the number of the turn, which began with a reading of that number.
	turn, began, readings uint32
}

type size struct {
	// each is what an entry takes; 0 if that could not be found out.
	each float64
	// turn is the one in which it was measured, and estimated the reading in which
	// it was estimated last.
	turn, estimated uint32
}

const (
	// maxSizes is of how many streams a size is kept in mind.
	maxSizes = 200_000
	// sampledAReading is how many streams without a label are measured in a reading,
	// and sampledBytes about how much they hold together: a tenth of a second for
	// Redis, in calls that are short.
	sampledAReading = 2000
	sampledBytes    = 4 << 30
	// leastTurn is how many readings a turn lasts at least.
	leastTurn = 10
)

func newSizes() *sizes {
	return &sizes{known: make(map[uint64]size), seed: maphash.MakeSeed(), turn: 1}
}

// start begins a reading.
func (s *sizes) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readings++
}

// of is about what so many entries of a stream take, 0 where that is not known: of a
// stream that was not measured yet, what the mean entry of the others says.
func (s *sizes) of(stream string, entries int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	each := s.known[maphash.String(s.seed, stream)].each
	if each == 0 && s.count > 0 {
		each = s.sum / float64(s.count)
	}
	return int64(each * float64(entries))
}

// own is the same, but 0 of a stream that was not measured yet.
func (s *sizes) own(stream string, entries int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(s.known[maphash.String(s.seed, stream)].each * float64(entries))
}

// due reports whether a stream is to be measured in this turn.
func (s *sizes) due(stream string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	size, known := s.known[maphash.String(s.seed, stream)]
	return size.turn < s.turn && (known || len(s.known) < maxSizes)
}

// estimated is the reading in which a stream was estimated last, 0 for never.
func (s *sizes) estimated(stream string) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[maphash.String(s.seed, stream)].estimated
}

// note takes in what a stream takes. What cannot be measured keeps what was known.
func (s *sizes) note(stream string, m buffer.EntryMemory) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := maphash.String(s.seed, stream)
	now, known := s.known[key]
	if !known && len(s.known) >= maxSizes {
		return
	}
	now.turn = s.turn
	if m.Sampled {
		now.estimated = s.readings
	}
	if m.Err == nil && !m.Uncounted && m.Length > 0 {
		s.forget(now)
		now.each = float64(m.Bytes) / float64(m.Length)
		if now.each > 0 {
			s.sum, s.count = s.sum+now.each, s.count+1
		}
	}
	s.known[key] = now
}

// forget takes a size out of the mean.
func (s *sizes) forget(old size) {
	if old.each > 0 {
		s.sum, s.count = s.sum-old.each, s.count-1
	}
}

// end ends a reading. Once all streams were measured, another turn begins, and those
// that are no longer there are forgotten.
func (s *sizes) end(all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !all || s.readings-s.began < leastTurn {
		return
	}
	for key, size := range s.known {
		if size.turn < s.turn {
			s.forget(size)
			delete(s.known, key)
		}
	}
	s.turn, s.began = s.turn+1, s.readings
}
