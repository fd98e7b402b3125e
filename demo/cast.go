package demo

import (
	"time"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst"
)

// Role is one producer: a session on a stream of its own, and how it behaves.
type Role struct {
	// Name is the stream's name and the session's identity.
	Name string
	// Layout in which the session lies in the registry.
	Layout registry.Layout
	// Encoding of the messages, and about how many bytes each has before it.
	Encoding burst.Encoding
	Size     int
	// Past is for how long the session has been running when the demo begins.
	Past time.Duration
	// Dies is when the producer falls silent, counted from its start; 0 for
	// never. Returns is when it goes on as if nothing had been; 0 for never.
	Dies, Returns time.Duration
	// Rubbish is a producer whose messages nobody can read.
	Rubbish bool
}

// Cast returns the roles: four sessions as they should be, one that dies, one
// that comes back after its stream was retired, and one that writes rubbish.
func Cast() []Role {
	return []Role{
		{
			Name: Prefix + "car 7 · Practice 1", Layout: registry.Object,
			Encoding: burst.Block, Size: burst.AimedBurst, Past: 15 * time.Second,
		},
		{
			Name: Prefix + "car 22: Practice 1", Layout: registry.Fields,
			Encoding: burst.Pickle, Size: 6 << 10, Past: 30 * time.Second,
		},
		{
			Name: Prefix + "Prüfstand 3", Layout: registry.Keys,
			Encoding: burst.Frame, Size: 8 << 10, Past: 40 * time.Second,
		},
		{
			Name: Prefix + "wind tunnel [A]", Layout: registry.Object,
			Encoding: burst.SizePrefixedBlock, Size: 4 << 10,
		},
		{
			Name: Prefix + "pit wall", Layout: registry.Fields,
			Encoding: burst.Block, Size: 4 << 10, Dies: 3 * time.Second,
		},
		{
			Name: Prefix + "radio link", Layout: registry.Keys,
			Encoding: burst.Wrap, Size: 4 << 10, Dies: 2 * time.Second, Returns: 15 * time.Second,
		},
		{
			Name: Prefix + "simulator", Layout: registry.Keys,
			Encoding: burst.Frame, Size: 4 << 10, Rubbish: true,
		},
	}
}

// silent reports whether the producer writes nothing at that time since its
// start.
func (r Role) silent(elapsed time.Duration) bool {
	if r.Dies == 0 || elapsed < r.Dies {
		return false
	}
	return r.Returns == 0 || elapsed < r.Returns
}
