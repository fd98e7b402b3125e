package buffer

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// Weight is what the entries of a stream take in memory: its macro nodes, and
// what leads to them.
type Weight struct {
	Length int64
	Bytes  int64
	// Estimated: not all macro nodes were counted.
	Estimated bool
	Err       error
}

// weightScript asks what streams take in memory, as far as Redis can count it
// quickly: what it says of few of the nodes, the oldest, says nothing of the
// others, and what it says of consumer groups is wrong.
//
// KEYS streams; ARGV[1] how many macro nodes a call counts
// returns for each key, as far as it came, an error, or its length and bytes, -1
// where they cannot be counted
var weightScript = redisconn.NewScript(`
local most, counted, weights = tonumber(ARGV[1]), 0, {}
local function nodes(key)
  local info = redis.call('XINFO', 'STREAM', key)
  for i = 1, #info, 2 do
    if info[i] == 'radix-tree-keys' then return info[i + 1] end
  end
end
local function weigh(key)
  local length = redis.pcall('XLEN', key)
  if type(length) ~= 'number' then return length end
  if length == 0 then return {0, 0} end
  if #redis.call('XINFO', 'GROUPS', key) > 0 then return {length, -1} end
  local n = length
  if n > most then n = nodes(key) end
  if n > most then return {length, -1} end
  counted = counted + n
  return {length, redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0)}
end
for i, key in ipairs(KEYS) do
  if counted > most / 2 then break end
  weights[i] = weigh(key)
end
return weights
`)

// A call weighs so many streams at most; in a cluster, where each takes a call of
// its own, so many go together.
const (
	weighedACall     = 32
	weighedAPipeline = 4
)

// Weights weighs streams, in calls that follow one another: Redis answers a
// pipeline as a whole. An error means that the connection broke.
func (b *Buffer) Weights(ctx context.Context, names []string) ([]Weight, error) {
	weights := make([]Weight, 0, len(names))
	for len(weights) < len(names) {
		more, err := b.weigh(ctx, names[len(weights):])
		if err != nil {
			return nil, err
		}
		weights = append(weights, more...)
	}
	for i := range weights {
		if w := &weights[i]; w.Estimated {
			if err := b.estimate(ctx, names[i], w); err != nil {
				return nil, err
			}
		}
	}
	return weights, nil
}

// weigh weighs the first of the streams, at least one.
func (b *Buffer) weigh(ctx context.Context, names []string) ([]Weight, error) {
	var parts [][]string
	if _, ok := b.rdb.(*redis.ClusterClient); ok {
		parts = slices.Collect(slices.Chunk(names[:min(weighedAPipeline, len(names))], 1))
	} else {
		parts = [][]string{names[:min(weighedACall, len(names))]}
	}
	calls := make([]redisconn.Call, len(parts))
	for n, part := range parts {
		for _, name := range part {
			calls[n].Keys = append(calls[n].Keys, b.names.StreamKey(name))
		}
		calls[n].Args = []any{countedNodes}
	}
	var weights []Weight
	for n, cmd := range b.conn.EvalRead(ctx, weightScript, calls) {
		replies, err := cmd.Slice()
		if redisconn.IsLost(err) {
			return nil, fmt.Errorf("weighing stream %s and others: %w", Quote(parts[n][0]), err)
		}
		if err == nil && (len(replies) == 0 || len(replies) > len(parts[n])) {
			err = fmt.Errorf("%w: %d weights of %d streams", redisconn.ErrIncomplete, len(replies), len(parts[n]))
		}
		if err != nil {
			for range parts[n] {
				weights = append(weights, Weight{Err: err})
			}
			continue
		}
		for _, reply := range replies {
			weights = append(weights, parseWeight(reply))
		}
	}
	return weights, nil
}

func parseWeight(reply any) (w Weight) {
	if err, failed := reply.(error); failed {
		return Weight{Err: err}
	}
	if pair, ok := reply.([]any); ok && len(pair) == 2 {
		w.Length, _ = pair[0].(int64)
		w.Bytes, _ = pair[1].(int64)
		w.Estimated = w.Bytes < 0
		return w
	}
	return Weight{Err: fmt.Errorf("%w: a weight is %T", redisconn.ErrIncomplete, reply)}
}

// Places at which a stream is looked at to estimate its weight, and how many bytes
// of entries are read for it in all, and in a call.
const (
	weighedPlaces     = 400
	weighedBytes      = 64 << 20
	weighedBytesACall = 128 << 10
)

// placesScript reads the sizes of entries spread over a stream.
//
// KEYS[1] stream; ARGV[1] most bytes that a call reads; ARGV[2…] ids
// returns how many places it came to, and the sizes of the entries there
var placesScript = redisconn.NewScript(sizeLua + `
local most, read, sizes = tonumber(ARGV[1]), 0, {}
for i = 2, #ARGV do
  local entry = redis.call('XRANGE', KEYS[1], ARGV[i], '+', 'COUNT', 1)[1]
  if entry then
    local size = sizeOf(entry)
    sizes[#sizes + 1], read = size, read + size
  end
  if read > most then return {i - 1, sizes} end
end
return {#ARGV - 1, sizes}
`)

// sizeLua is about what an entry takes in memory: its texts and some bytes more;
// a large one has a node to itself, for which the allocator takes one of four
// sizes up to the next power of two.
const sizeLua = `
local function sizeOf(entry)
  local size = 12
  for _, text in ipairs(entry[2]) do size = size + #text end
  if size < 4096 then return size end
  local step = 1024
  while size > 8 * step do step = step * 2 end
  return math.ceil(size / step) * step
end
`

// nodeOverhead is about what leads to a macro node.
const nodeOverhead = 280

// estimate estimates a weight from entries spread over the stream's ids.
func (b *Buffer) estimate(ctx context.Context, name string, w *Weight) error {
	infos, err := b.Infos(ctx, []string{name})
	if err != nil {
		return err
	}
	info := infos[0]
	if info.Err != nil || info.Length == 0 {
		*w = Weight{Length: info.Length, Err: info.Err}
		return nil //nolint:nilerr // it is the stream's own
	}
	places := spread(info, weighedPlaces)
	var seen, bytes int64
	for len(places) > 0 && bytes < weighedBytes {
		call := redisconn.OnKey(b.names.StreamKey(name), append([]any{weighedBytesACall}, places...)...)
		came, sizes, err := parsePlaces(b.conn.EvalRead(ctx, placesScript, []redisconn.Call{call})[0].Slice())
		if redisconn.IsLost(err) {
			return fmt.Errorf("weighing stream %s: %w", Quote(name), err)
		}
		if err != nil {
			w.Err = err
			return nil //nolint:nilerr // it is the stream's own
		}
		places = places[min(max(1, came), len(places)):]
		for _, size := range sizes {
			seen, bytes = seen+1, bytes+size
		}
	}
	*w = Weight{Length: info.Length, Bytes: info.Nodes * nodeOverhead, Estimated: true}
	if seen > 0 {
		w.Bytes += int64(float64(bytes) / float64(seen) * float64(info.Length))
	}
	return nil
}

func parsePlaces(reply []any, err error) (came int, sizes []int64, _ error) {
	if err != nil {
		return 0, nil, err
	}
	if len(reply) != 2 {
		return 0, nil, fmt.Errorf("%w: %d values of places", redisconn.ErrIncomplete, len(reply))
	}
	n, _ := reply[0].(int64)
	all, _ := reply[1].([]any)
	for _, v := range all {
		size, _ := v.(int64)
		sizes = append(sizes, size)
	}
	return int(n), sizes, nil
}

// spread are the ids of so many places between the first entry and the last.
func spread(info StreamInfo, places int) []any {
	first, last := info.First.Ms, info.Newest.Ms
	if last-first < uint64(places) {
		// Within so short a time the sequence numbers, too, tell them apart.
		return []any{info.First.String(), info.Newest.String()}
	}
	ids := make([]any, places)
	for i := range ids {
		at := first + uint64(float64(last-first)*float64(i)/float64(places-1))
		ids[i] = ID{Ms: min(at, last)}.String()
	}
	ids[places-1] = info.Newest.String()
	return ids
}

// OldestWithin is how many of a stream's oldest entries take no more than so many
// bytes together.
func (b *Buffer) OldestWithin(ctx context.Context, stream string, bytes int64) (int64, error) {
	entries, all, err := b.CountRange(ctx, Range{Stream: stream}, CountLimit{Entries: 1 << 40, Bytes: bytes})
	if err == nil && !all && entries > 0 {
		entries-- // the last one counted crosses the limit
	}
	return entries, err
}
