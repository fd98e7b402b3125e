package buffer

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// Memory is how much memory Redis uses and how much it may, in bytes; 0 for no
// limit. In a cluster it is that of the fullest master. It fails where INFO is
// denied.
func (b *Buffer) Memory(ctx context.Context) (used, limit int64, err error) {
	fullest := -1.0
	err = b.masters(ctx, func(ctx context.Context, node *redis.Client) error {
		info, err := node.InfoMap(ctx, "memory").Result()
		if err != nil {
			return fmt.Errorf("asking Redis for its memory: %w", err)
		}
		u, _ := strconv.ParseInt(info["Memory"]["used_memory"], 10, 64)
		l, _ := strconv.ParseInt(info["Memory"]["maxmemory"], 10, 64)
		if share := float64(u) / float64(max(1, l)); share > fullest {
			used, limit, fullest = u, l, share
		}
		return nil
	})
	return used, limit, err
}
