package buffer

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// Bounds of counting macro nodes: of one stream, and of one pipeline, for which
// Redis lets others wait. Redis counts some twenty nodes in a microsecond.
const (
	countedNodes    = 10_000
	nodesAPipeline  = 10_000
	streamsPipeline = 64
)

// StreamMemory is what the entries of each stream take in memory, in bytes; 0
// where it is not known. Up to 10 000 macro nodes all are counted; of more, the
// oldest stand for the rest.
func (b *Buffer) StreamMemory(ctx context.Context, names []string, infos []StreamInfo) ([]int64, error) {
	sizes := make([]int64, 0, len(names))
	for len(sizes) < len(names) {
		pipe := b.rdb.Pipeline()
		var cmds []*redis.IntCmd
		for i, nodes := len(sizes), int64(0); i < len(names) && len(cmds) < streamsPipeline && nodes < nodesAPipeline; i++ {
			// The default of five samples would let the oldest speak for all.
			samples := min(max(infos[i].Nodes, 1), countedNodes)
			cmds = append(cmds, pipe.MemoryUsage(ctx, b.names.StreamKey(names[i]), int(samples)))
			nodes += samples
		}
		if _, err := pipe.Exec(ctx); redisconn.IsLost(err) {
			return nil, fmt.Errorf("asking for the memory of %d streams: %w", len(cmds), err)
		}
		for _, cmd := range cmds {
			sizes = append(sizes, max(0, cmd.Val()-infos[len(sizes)].Groups.counted()))
		}
	}
	return sizes, nil
}
