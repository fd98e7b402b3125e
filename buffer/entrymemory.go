package buffer

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// EntryMemory is what the entries of a stream take in memory: its macro nodes, and
// what leads to them.
type EntryMemory struct {
	Length int64
	Bytes  int64
	// Uncounted: Redis cannot count it quickly, so Bytes is not known; see
	// [Buffer.EstimateEntryMemory]. Estimated: it was estimated.
	Uncounted, Estimated bool
	Err                  error
}

// entryMemoryScript asks what streams take in memory, as far as Redis can count it
// quickly: what it says of few of the nodes, the oldest, says nothing of the
// others, and what it says of consumer groups is wrong.
//
// KEYS streams; ARGV[1] how many macro nodes a call counts
// returns for each key, as far as it came, an error, or its length and bytes, -1
// where they cannot be counted
var entryMemoryScript = redisconn.NewScript(`
local most, counted, sizes = tonumber(ARGV[1]), 0, {}
local function nodes(key)
  local info = redis.call('XINFO', 'STREAM', key)
  for i = 1, #info, 2 do
    if info[i] == 'radix-tree-keys' then return info[i + 1] end
  end
end
local function measure(key)
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
  sizes[i] = measure(key)
end
return sizes
`)

// A call measures so many streams at most; in a cluster, where each takes a call of
// its own, so many go together.
const (
	measuredACall     = 32
	measuredAPipeline = 4
)

// EntryMemories measures streams as far as Redis can count quickly, in calls that
// follow one another: Redis answers a pipeline as a whole. An error means that the
// connection broke.
func (b *Buffer) EntryMemories(ctx context.Context, names []string) ([]EntryMemory, error) {
	all := make([]EntryMemory, 0, len(names))
	for len(all) < len(names) {
		more, err := b.measure(ctx, names[len(all):])
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

// measure measures the first of the streams, at least one.
func (b *Buffer) measure(ctx context.Context, names []string) ([]EntryMemory, error) {
	var parts [][]string
	if _, ok := b.rdb.(*redis.ClusterClient); ok {
		parts = slices.Collect(slices.Chunk(names[:min(measuredAPipeline, len(names))], 1))
	} else {
		parts = [][]string{names[:min(measuredACall, len(names))]}
	}
	calls := make([]redisconn.Call, len(parts))
	for n, part := range parts {
		for _, name := range part {
			calls[n].Keys = append(calls[n].Keys, b.names.StreamKey(name))
		}
		calls[n].Args = []any{countedNodes}
	}
	var all []EntryMemory
	for n, cmd := range b.conn.EvalRead(ctx, entryMemoryScript, calls) {
		replies, err := cmd.Slice()
		if redisconn.IsLost(err) {
			return nil, fmt.Errorf("measuring the memory of stream %s and others: %w", Quote(parts[n][0]), err)
		}
		if err == nil && (len(replies) == 0 || len(replies) > len(parts[n])) {
			err = fmt.Errorf("%w: %d sizes of %d streams", redisconn.ErrIncomplete, len(replies), len(parts[n]))
		}
		if err != nil {
			for range parts[n] {
				all = append(all, EntryMemory{Err: err})
			}
			continue
		}
		for _, reply := range replies {
			all = append(all, parseEntryMemory(reply))
		}
	}
	return all, nil
}

func parseEntryMemory(reply any) (m EntryMemory) {
	if err, failed := reply.(error); failed {
		return EntryMemory{Err: err}
	}
	if pair, ok := reply.([]any); ok && len(pair) == 2 {
		m.Length, _ = pair[0].(int64)
		m.Bytes, _ = pair[1].(int64)
		m.Uncounted, m.Bytes = m.Bytes < 0, max(0, m.Bytes)
		return m
	}
	return EntryMemory{Err: fmt.Errorf("%w: a size is %T", redisconn.ErrIncomplete, reply)}
}

// Places at which a stream is looked at for an estimate, and how many bytes
// of entries are read for it in all, and in a call.
const (
	sampledPlaces     = 400
	sampledBytes      = 64 << 20
	sampledBytesACall = 128 << 10
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

// EstimateEntryMemory estimates what the entries of a stream take from ones that
// are spread over its ids. An error means that the connection broke.
func (b *Buffer) EstimateEntryMemory(ctx context.Context, name string) (EntryMemory, error) {
	infos, err := b.Infos(ctx, []string{name})
	if err != nil {
		return EntryMemory{}, err
	}
	info := infos[0]
	m := EntryMemory{Length: info.Length, Bytes: info.Nodes * nodeOverhead, Estimated: true, Err: info.Err}
	if m.Err != nil || m.Length == 0 {
		return m, nil //nolint:nilerr // it is the stream's own
	}
	places := spread(info, sampledPlaces)
	var seen, bytes int64
	for len(places) > 0 && bytes < sampledBytes {
		call := redisconn.OnKey(b.names.StreamKey(name), append([]any{sampledBytesACall}, places...)...)
		came, sizes, err := parsePlaces(b.conn.EvalRead(ctx, placesScript, []redisconn.Call{call})[0].Slice())
		if redisconn.IsLost(err) {
			return m, fmt.Errorf("sampling stream %s: %w", Quote(name), err)
		}
		if err != nil {
			m.Err = err
			return m, nil //nolint:nilerr // it is the stream's own
		}
		places = places[min(max(1, came), len(places)):]
		for _, size := range sizes {
			seen, bytes = seen+1, bytes+size
		}
	}
	if seen > 0 {
		m.Bytes += int64(float64(bytes) / float64(seen) * float64(info.Length))
	}
	return m, nil
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
