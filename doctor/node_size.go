package doctor

import "github.com/streamkeeper/streamkeeper/internal/human"

// Macro nodes beyond these hold so much that approximate trimming is coarse.
const (
	manyNodeEntries = 1000
	largeNode       = 64 << 10
)

// nodeSize asks for the limits of macro nodes, which trimming goes by.
func nodeSize() Check {
	return Check{
		ID: "node-size", Group: Redis, Glance: true,
		needs:  []fact{factNodeLimits},
		Rule:   "stream-node-max-entries and -bytes are near Redis's defaults (100 and 4096): approximate trimming removes whole macro nodes only, and 0 is no limit.",
		Source: fromRedis,
		Remedy: "CONFIG SET stream-node-max-entries 100 and stream-node-max-bytes 4096; streams keep the nodes that they have.",
		server: func(s *Server, o *outcome) {
			n := s.NodeLimits
			switch {
			case !s.Trims:
				o.says(OK, "trimming is not enabled")
			case n.Entries <= 0 && n.Bytes <= 0:
				o.says(Error, "macro nodes have no limit: a whole stream is one, of which approximate trimming removes nothing")
			case (n.Entries <= 0 || n.Entries > manyNodeEntries) && (n.Bytes <= 0 || n.Bytes > largeNode):
				o.says(Warning, "a macro node may hold %s and %s: so much stays over a limit", entriesOf(n.Entries), bytesOf(n.Bytes))
			default:
				o.says(OK, "a macro node holds at most %s and %s", entriesOf(n.Entries), bytesOf(n.Bytes))
			}
		},
	}
}

func entriesOf(n int64) string {
	if n <= 0 {
		return "any number of entries"
	}
	return human.Plural(n, "entry")
}

func bytesOf(n int64) string {
	if n <= 0 {
		return "any number of bytes"
	}
	return human.Bytes(n)
}
