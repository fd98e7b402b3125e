package buffer

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// oldestMeanLua finds what an entry takes where MEMORY USAGE does not tell, as it counts
// consumer groups too: by the sizes of a few of the oldest entries, each with its share
// of what leads to a macro node as Redis makes these by default. It reads one entry at
// a time: only so a large one is not followed by another.
const oldestMeanLua = entrySizeLua + `
local function hasGroups(key)
  local groups = redis.pcall('XINFO', 'GROUPS', key)
  return groups.err or #groups > 0
end
local function oldestMean(key)
  local from, count, bytes = '-', 0, 0
  while count < 16 and bytes < 16384 do
    local entry = redis.call('XRANGE', key, from, '+', 'COUNT', 1)[1]
    if not entry then break end
    local size = sizeOf(entry)
    count, bytes = count + 1, bytes + size + math.floor(280 / math.min(100, math.floor(4096 / size) + 1))
    from = '(' .. entry[1]
  end
  return bytes / math.max(1, count), count, bytes
end
`

// sizesScript asks what the entries of streams take.
//
// KEYS streams; ARGV[1] how many entries, ARGV[2] how many bytes of them a call reads before it
// leaves the other streams to another
// returns for each key, as far as it came, bytes; 0 where they are not known
var sizesScript = redisconn.NewScript(oldestMeanLua + `
local most, room, entries, bytes, sizes = tonumber(ARGV[1]), tonumber(ARGV[2]), 0, 0, {}
for i, key in ipairs(KEYS) do
  if entries > most or bytes > room then break end
  local size = redis.call('MEMORY', 'USAGE', key) or 0
  local length = redis.pcall('XLEN', key)
  if size > 0 and type(length) == 'number' and hasGroups(key) then
    local mean, count, sum = oldestMean(key)
    size, entries, bytes = math.min(size, math.floor(mean * length)), entries + count, bytes + sum
  end
  sizes[i] = size
end
return sizes
`)

// A call of sizesScript reads so many entries of streams with consumer groups, before it
// leaves the others to another.
const sizedEntries = 48

// Sizes is roughly what the entries of each stream take in memory, in bytes, by its
// oldest macro nodes; where it has consumer groups, by its oldest entries. It is 0 where
// it is not known. It asks in small calls: the server touches a few macro nodes a stream
// for it.
func (b *Buffer) Sizes(ctx context.Context, names []string) ([]int64, error) {
	sizes := make([]int64, 0, len(names))
	for len(sizes) < len(names) {
		more, err := b.someSizes(ctx, names[len(sizes):])
		if err != nil {
			return nil, err
		}
		sizes = append(sizes, more...)
	}
	return sizes, nil
}

// someSizes asks for the first of the streams, at least one. In a cluster each takes a
// call of its own.
func (b *Buffer) someSizes(ctx context.Context, names []string) ([]int64, error) {
	names = names[:min(sizeBatch*b.conn.Width(ctx), len(names))]
	parts := [][]string{names[:min(sizeBatch, len(names))]}
	if _, ok := b.rdb.(*redis.ClusterClient); ok {
		parts = slices.Collect(slices.Chunk(names, 1))
	}
	calls := make([]redisconn.Call, len(parts))
	for n, part := range parts {
		for _, name := range part {
			calls[n].Keys = append(calls[n].Keys, b.names.StreamKey(name))
		}
		calls[n].Args = []any{sizedEntries, oldestBytes}
	}
	var sizes []int64
	for n, cmd := range b.conn.EvalRead(ctx, sizesScript, calls) {
		replies, err := cmd.Slice()
		if redisconn.IsLost(err) {
			return nil, fmt.Errorf("asking for the sizes of stream %s and others: %w", Quote(parts[n][0]), err)
		}
		if err != nil || len(replies) == 0 || len(replies) > len(parts[n]) {
			replies = make([]any, len(parts[n])) // they are not known
		}
		for _, reply := range replies {
			size, _ := reply.(int64)
			sizes = append(sizes, size)
		}
	}
	return sizes, nil
}
