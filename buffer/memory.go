package buffer

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// NodeMemory is how much memory a master uses and how much it may.
type NodeMemory struct {
	// Node is as [Buffer.NodeOf] calls it.
	Node string
	// Used and Limit are in bytes; a Limit of 0 is none.
	Used, Limit int64
}

// Share is the part of the limit that is used, 0 without a limit.
func (m NodeMemory) Share() float64 {
	if m.Limit <= 0 {
		return 0
	}
	return float64(m.Used) / float64(m.Limit)
}

// Memories asks each master for its memory. It fails where INFO is denied.
func (b *Buffer) Memories(ctx context.Context) ([]NodeMemory, error) {
	var all []NodeMemory
	err := b.conn.Masters(ctx, func(ctx context.Context, node *redis.Client) error {
		info, err := node.InfoMap(ctx, "memory").Result()
		if err != nil {
			return fmt.Errorf("asking Redis for its memory: %w", err)
		}
		m := NodeMemory{Node: b.conn.NodeName(node)}
		m.Used, _ = strconv.ParseInt(info["Memory"]["used_memory"], 10, 64)
		m.Limit, _ = strconv.ParseInt(info["Memory"]["maxmemory"], 10, 64)
		all = append(all, m)
		return nil
	})
	return all, err
}

// Memory is how much memory Redis uses and how much it may, in bytes; 0 for no
// limit. In a cluster it is that of the fullest master. It fails where INFO is
// denied.
func (b *Buffer) Memory(ctx context.Context) (used, limit int64, err error) {
	all, err := b.Memories(ctx)
	if err != nil || len(all) == 0 {
		return 0, 0, err
	}
	m := fullest(all)
	return m.Used, m.Limit, nil
}

// fullest is the one that uses most of its limit, or of those without one the largest.
func fullest(all []NodeMemory) NodeMemory {
	return slices.MaxFunc(all, func(a, b NodeMemory) int {
		return cmp.Or(cmp.Compare(a.Share(), b.Share()), cmp.Compare(a.Used, b.Used))
	})
}
