package buffer

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/human"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// OldestBytes is about how many bytes each entry at the beginning of a stream
// takes, where its macro nodes are sampled; 0 where it is not known. Consumer
// groups are counted with them.
func (b *Buffer) OldestBytes(ctx context.Context, streams []string) ([]float64, error) {
	pipe := b.rdb.Pipeline()
	sizes, lengths := make([]*redis.IntCmd, len(streams)), make([]*redis.IntCmd, len(streams))
	for i, stream := range streams {
		key := b.names.StreamKey(stream)
		sizes[i], lengths[i] = pipe.MemoryUsage(ctx, key), pipe.XLen(ctx, key)
	}
	if _, err := pipe.Exec(ctx); redisconn.IsLost(err) {
		return nil, fmt.Errorf("asking for the sizes of %s: %w", human.Plural(len(streams), "stream"), err)
	}
	each := make([]float64, len(streams))
	for i := range streams {
		if n := lengths[i].Val(); n > 0 {
			each[i] = float64(sizes[i].Val()) / float64(n)
		}
	}
	return each, nil
}
