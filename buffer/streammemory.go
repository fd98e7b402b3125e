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
// oldest stand for the rest. Where a stream has consumer groups, it is an estimate from
// some of its oldest entries, or what MEMORY USAGE leaves for entries at least.
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
			sizes = append(sizes, cmd.Val())
		}
	}
	return sizes, b.sizesWithoutGroups(ctx, names, infos, sizes)
}

// sizesWithoutGroups asks anew for the sizes of streams with consumer groups.
func (b *Buffer) sizesWithoutGroups(ctx context.Context, names []string, infos []StreamInfo, sizes []int64) error {
	var grouped []int
	var of []string
	for i := range sizes {
		if sizes[i] > 0 && infos[i].Groups.Groups > 0 {
			grouped, of = append(grouped, i), append(of, names[i])
		}
	}
	entries, err := b.Sizes(ctx, of)
	for k, size := range entries {
		i := grouped[k]
		sizes[i] = max(min(size, sizes[i]), sizes[i]-infos[i].Groups.counted())
	}
	return err
}
