package buffer

import (
	"context"
	"fmt"
	"math"
	"strconv"
)

// NodeLimits is when Redis begins a new macro node of a stream: the piece of memory (a
// listpack in the stream's radix tree) that holds many entries and goes as a whole.
type NodeLimits struct{ Bytes, Entries int64 }

// FewEntries are so few that they are waited for: two macro nodes as Redis makes
// them by default.
const FewEntries = 200

// DefaultNodeLimits are Redis's own.
var DefaultNodeLimits = NodeLimits{Bytes: 4096, Entries: 100}

// NodeLimits asks Redis for its limits; where it may not be asked, Redis's
// defaults are assumed.
func (b *Buffer) NodeLimits(ctx context.Context) NodeLimits {
	limits, _ := b.AskNodeLimits(ctx)
	return limits
}

// AskNodeLimits is [Buffer.NodeLimits] that says why Redis did not tell.
func (b *Buffer) AskNodeLimits(ctx context.Context) (NodeLimits, error) {
	limits := DefaultNodeLimits
	config, err := b.rdb.ConfigGet(ctx, "stream-node-max-*").Result()
	if err != nil {
		return limits, fmt.Errorf("asking for the limits of macro nodes: %w", err)
	}
	for name, into := range map[string]*int64{"stream-node-max-bytes": &limits.Bytes, "stream-node-max-entries": &limits.Entries} {
		if n, err := strconv.ParseInt(config[name], 10, 64); err == nil {
			*into = n
		}
	}
	return limits, nil
}

// EntriesPerNode is the most entries of the given size that a macro node
// holds, at least 1.
func (n NodeLimits) EntriesPerNode(entryBytes int64) int64 {
	most := int64(math.MaxInt32)
	if n.Entries > 0 {
		most = n.Entries
	}
	if n.Bytes > 0 && entryBytes > 0 {
		most = min(most, n.Bytes/entryBytes+1)
	}
	return max(1, most)
}

// MostEntries is the most entries that a macro node holds, whatever their size.
func (n NodeLimits) MostEntries() int64 { return n.EntriesPerNode(leastEntryBytes) }

// leastEntryBytes is about what the smallest entry takes in a macro node.
const leastEntryBytes = 10
