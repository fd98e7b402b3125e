package buffer

import (
	"context"
	"fmt"
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
	fullest := -1.0
	for _, m := range all {
		if share := float64(m.Used) / float64(max(1, m.Limit)); share > fullest {
			used, limit, fullest = m.Used, m.Limit, share
		}
	}
	return used, limit, err
}
