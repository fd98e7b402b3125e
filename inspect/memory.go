package inspect

import "hash/maphash"

// Bounds of what an inspector remembers, some megabytes each. Streams beyond them
// are sampled as if it were the first time.
const (
	maxUnseen  = 1 << 13
	maxSampled = 1 << 17
)

// memory is what an inspector remembers of streams from run to run. It keeps a
// hash of the name; what two streams share by chance does no harm.
type memory struct {
	seed   maphash.Seed
	run    uint32 // counts the runs
	unseen map[uint64]unseen
	// sampled is the run in which a stream was last looked into.
	sampled map[uint64]uint32
}

func newMemory() *memory {
	return &memory{seed: maphash.MakeSeed(), unseen: make(map[uint64]unseen), sampled: make(map[uint64]uint32)}
}

func (m *memory) key(stream string) uint64 { return maphash.String(m.seed, stream) }

// of is what was not seen of a stream.
func (m *memory) of(stream string) unseen { return m.unseen[m.key(stream)] }

// lastRun is the run in which a stream was last looked into, 0 if it never was.
func (m *memory) lastRun(stream string) uint32 { return m.sampled[m.key(stream)] }

// keep notes that a stream was looked into, and what is still unseen.
func (m *memory) keep(stream string, rest unseen) {
	key := m.key(stream)
	if len(m.sampled) >= maxSampled {
		clear(m.sampled)
	}
	m.sampled[key] = m.run
	if _, known := m.unseen[key]; !known && len(m.unseen) >= maxUnseen {
		for other := range m.unseen { // any one
			delete(m.unseen, other)
			break
		}
	}
	m.unseen[key] = rest
}
