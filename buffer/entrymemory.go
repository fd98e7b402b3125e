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
	// [Buffer.EstimateEntryMemory].
	Uncounted bool
	// Estimated: Bytes is an estimate, rather too little than too much. Sampled: it
	// is one from some of the entries.
	Estimated, Sampled bool
	// BySizes is what the entries take by their sizes alone, 0 if they were not sampled.
	BySizes int64
	// Total is what Redis counts with consumer groups, 0 if it was not asked.
	Total int64
	Err   error
}

// entryMemoryScript asks what streams take in memory, as far as Redis can count it
// quickly: what it says of few of the nodes, the oldest, says nothing of the
// others.
//
// KEYS streams; ARGV[1] how many macro nodes a call counts
// returns for each key, as far as it came, an error, or its length, its bytes, -1
// where they cannot be counted, and how many groups, consumers and pending entries it has
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
  if length == 0 then return {0, 0, 0, 0, 0} end
  local n, groups, has = length, redis.call('XINFO', 'GROUPS', key), {consumers = 0, pending = 0}
  for _, group in ipairs(groups) do
    for i = 1, #group, 2 do
      local name = group[i]
      if has[name] then has[name] = has[name] + group[i + 1] end
    end
  end
  if n > most then n = nodes(key) end
  if n > most then return {length, -1, #groups, has.consumers, has.pending} end
  counted = counted + n
  return {length, redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0), #groups, has.consumers, has.pending}
end
for i, key in ipairs(KEYS) do
  if counted > most / 2 then break end
  sizes[i] = measure(key)
end
return sizes
`)

// GroupCounts is how many consumer groups a stream has, how many consumers these, and
// how many entries they were given and have not acknowledged.
type GroupCounts struct{ Groups, Consumers, Pending int64 }

// counted is what MEMORY USAGE counts for them at most, in bytes: so 6.2 to 8.0 and
// Valkey do for entries that come one by one. Of many within a millisecond it counts
// two fifths of that. They take far less.
func (g GroupCounts) counted() int64 { return 300*g.Groups + 1000*g.Consumers + 1280*g.Pending }

// Memory is about what they take in Redis, in bytes, beside the entries: a pending entry
// stands in two trees. Redis 6.2 to 8.0 and Valkey differ by little.
func (g GroupCounts) Memory() int64 { return 150*g.Groups + 130*g.Consumers + 150*g.Pending }

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
	values, _ := reply.([]any)
	if len(values) != 5 {
		return EntryMemory{Err: fmt.Errorf("%w: a size is %T of %d values", redisconn.ErrIncomplete, reply, len(values))}
	}
	var n [5]int64
	for i, v := range values {
		n[i], _ = v.(int64)
	}
	m.Length = n[0]
	if n[1] < 0 {
		m.Uncounted = true
		return m
	}
	m.Total = n[1]
	groups := GroupCounts{n[2], n[3], n[4]}.counted()
	m.Bytes, m.Estimated = max(0, m.Total-groups), groups > 0
	m.Uncounted = groups > m.Total/3
	return m
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
var placesScript = redisconn.NewScript(entrySizeLua + `
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

// nodeOverhead is about what leads to a macro node.
const nodeOverhead = 280

// EstimateEntryMemory estimates what the entries of a stream take, of which as much
// is known as [Buffer.EntryMemories] says, from ones that are spread over its ids. Where
// messages come in bursts these stand for too many: it is no more than what Redis
// counts leaves to entries, or if all macro nodes were as the oldest are. It is rather
// too little than too much. An error means that the connection broke.
func (b *Buffer) EstimateEntryMemory(ctx context.Context, name string, counted EntryMemory) (EntryMemory, error) {
	infos, err := b.Infos(ctx, []string{name})
	if err != nil {
		return EntryMemory{}, err
	}
	info := infos[0]
	m := EntryMemory{Length: info.Length, Bytes: info.Nodes * nodeOverhead, Estimated: true, Sampled: true, Total: counted.Total, Err: info.Err}
	if m.Err != nil || m.Length == 0 {
		return m, nil //nolint:nilerr // it is the stream's own
	}
	places := spread(info, sampledPlaces)
	var sampled []int64
	for bytes := int64(0); len(places) > 0 && bytes < sampledBytes; {
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
			bytes += size
		}
		sampled = append(sampled, sizes...)
	}
	m.BySizes = int64(meanOf(sampled) * float64(info.Length))
	m.Bytes += m.BySizes
	most, err := b.mostEntryMemory(ctx, name, info, counted)
	if most > 0 {
		m.Bytes = max(counted.Bytes, min(m.Bytes, most))
	}
	return m, err
}

// mostEntryMemory is what Redis says that the entries take at most; 0 if it does not.
func (b *Buffer) mostEntryMemory(ctx context.Context, name string, info StreamInfo, counted EntryMemory) (int64, error) {
	groups := info.Groups.counted()
	if counted.Total > 0 {
		return max(1, counted.Total-groups/5*2), nil
	}
	usage, err := b.rdb.MemoryUsage(ctx, b.names.StreamKey(name), countedNodes).Result()
	if redisconn.IsLost(err) {
		return 0, fmt.Errorf("asking for the memory of stream %s: %w", Quote(name), err)
	}
	if err != nil {
		return 0, nil //nolint:nilerr // what was sampled has to do
	}
	return max(0, usage-groups), nil
}

// meanOf is the mean of the sizes that were sampled. The largest hundredth counts as
// what is next to it: a few large entries say nothing of how many there are.
func meanOf(sizes []int64) float64 {
	if len(sizes) == 0 {
		return 0
	}
	slices.Sort(sizes)
	most := sizes[max(0, len(sizes)-1-(len(sizes)+99)/100)]
	sum := 0.0
	for _, size := range sizes {
		sum += float64(min(size, most))
	}
	return sum / float64(len(sizes))
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

// spread are the ids of so many places between the first entry and the last, or of
// fewer where they came within so many milliseconds.
func spread(info StreamInfo, places int) []any {
	first, span := info.First.Ms, info.Newest.Ms-info.First.Ms
	if span < uint64(places) {
		places = int(span) + 1
	}
	ids := make([]any, places)
	for i := range ids {
		ids[i] = ID{Ms: first + uint64(float64(span)*float64(i)/float64(places))}.String()
	}
	return ids
}
