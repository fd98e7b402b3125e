package buffer

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/human"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// Look asks what the oldest entry of a stream is.
type Look struct {
	Stream string
	// Before is the id below which an entry counts as old; not 0-0.
	Before ID
	// Count is up to how many old entries are counted.
	Count int64
}

// Head is what is found at a stream's old end.
type Head struct {
	// Length in entries; 0 where there is no key.
	Length int64
	// Old is how many entries lie below the id that was asked for, 1 at most
	// unless more were to be counted.
	Old int64
	// First is the id of the oldest entry, if that one is old.
	First ID
	// EntryBytes is roughly what an entry takes, if one is old: the oldest one,
	// or one on the average of some macro nodes if that is more.
	EntryBytes int64
	// Err is why the stream could not be asked.
	Err error
}

// headScript looks at the oldest entries of streams and leaves the payloads on
// the server.
//
// KEYS streams
// ARGV[2i-1] for KEYS[i] the end of the range in which entries are old, ARGV[2i]
// how many are counted; the last ARGV how many bytes of entries a call reads
// before it leaves the other streams to another
// returns for each key, as far as it came, an error; or its length; or, if the
// oldest entry is old, {length, number of old entries, bytes an entry, id of the
// oldest}
var headScript = redisconn.NewScript(`
local call, copied, room = redis.call, 0, tonumber(ARGV[2 * #KEYS + 1])
local function bytes(key, entry, length)
  local size, all = 0, redis.pcall('MEMORY', 'USAGE', key)
  for _, text in ipairs(entry[2]) do size = size + #text end
  copied = copied + size
  if type(all) ~= 'number' then return size end
  return math.max(size, math.floor(all / length))
end
local heads = {}
for i, key in ipairs(KEYS) do
  if copied > room then break end
  local old = redis.pcall('XRANGE', key, '-', ARGV[2 * i - 1], 'COUNT', ARGV[2 * i])
  if old.err then
    heads[i] = old
  else
    local length = call('XLEN', key)
    heads[i] = length
    if old[1] then heads[i] = {length, #old, bytes(key, old[1], length), old[1][1]} end
  end
end
return heads
`)

// One call of headScript looks at so many streams at most, enough to share the
// cost of a call, and reads about so many bytes of their entries.
const (
	headsPerCall = 32
	headsBytes   = 256 << 10
)

// Heads looks at the old end of streams, in one pipeline unless their entries are
// large. An error means that the connection broke.
func (b *Buffer) Heads(ctx context.Context, looks []Look) ([]Head, error) {
	heads := make([]Head, len(looks))
	todo := make([]int, len(looks))
	for i := range looks {
		todo[i] = i
	}
	for len(todo) > 0 {
		var err error
		if todo, err = b.heads(ctx, looks, todo, heads); err != nil {
			return nil, err
		}
	}
	return heads, nil
}

// heads looks at the streams whose numbers are given, and returns the numbers of
// those that a call left to another: each call looks at one at least.
func (b *Buffer) heads(ctx context.Context, looks []Look, todo []int, heads []Head) (left []int, err error) {
	perCall := headsPerCall
	if _, ok := b.rdb.(*redis.ClusterClient); ok {
		perCall = 1
	}
	var calls []redisconn.Call
	parts := slices.Collect(slices.Chunk(todo, perCall))
	for _, part := range parts {
		var call redisconn.Call
		for _, i := range part {
			call.Keys = append(call.Keys, b.names.StreamKey(looks[i].Stream))
			call.Args = append(call.Args, "("+looks[i].Before.String(), max(1, looks[i].Count))
		}
		call.Args = append(call.Args, headsBytes)
		calls = append(calls, call)
	}
	for n, cmd := range b.conn.EvalRead(ctx, headScript, calls) {
		part := parts[n]
		replies, err := cmd.Slice()
		if redisconn.IsLost(err) {
			return nil, fmt.Errorf("looking at the oldest entry of stream %s and others: %w", Quote(looks[part[0]].Stream), err)
		}
		if err == nil && (len(replies) == 0 || len(replies) > len(part)) {
			err = fmt.Errorf("%w: %d heads of %d streams", redisconn.ErrIncomplete, len(replies), len(part))
		}
		for k, i := range part {
			switch {
			case err != nil:
				heads[i] = Head{Err: err}
			case k < len(replies):
				heads[i] = parseHead(replies[k])
			default:
				left = append(left, i)
			}
		}
	}
	return left, nil
}

func parseHead(reply any) (h Head) {
	switch reply := reply.(type) {
	case error:
		h.Err = reply
	case int64:
		h.Length = reply
	case []any:
		if len(reply) != 4 {
			h.Err = fmt.Errorf("%w: a head has %d values instead of 4", redisconn.ErrIncomplete, len(reply))
			return h
		}
		h.Length, _ = reply[0].(int64)
		h.Old, _ = reply[1].(int64)
		h.EntryBytes, _ = reply[2].(int64)
		first, _ := reply[3].(string)
		h.First, h.Err = ParseID(first)
	default:
		h.Err = fmt.Errorf("%w: a head is %v", redisconn.ErrIncomplete, reply)
	}
	return h
}

// lastIDScript keeps the payloads that XINFO STREAM returns on the server.
//
// KEYS[1] stream; returns its last generated id, 0-0 where there is no key
var lastIDScript = redisconn.NewScript(`
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
if info.err then
  if info.err:find('no such key') then return '0-0' end
  return info
end
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' then return info[i + 1] end
end
return '0-0'
`)

// LastID is the last generated id of a stream, or why it is not known.
type LastID struct {
	ID  ID
	Err error
}

// LastIDs asks for the last generated id of each stream, in small pipelines:
// the server touches two payloads a stream for it.
func (b *Buffer) LastIDs(ctx context.Context, names []string) ([]LastID, error) {
	ids := make([]LastID, 0, len(names))
	for part := range slices.Chunk(names, infoBatch*b.conn.Width(ctx)) {
		calls := make([]redisconn.Call, len(part))
		for i, name := range part {
			calls[i] = redisconn.OnKey(b.names.StreamKey(name))
		}
		for i, cmd := range b.conn.EvalRead(ctx, lastIDScript, calls) {
			text, err := cmd.Text()
			if redisconn.IsLost(err) {
				return nil, fmt.Errorf("asking for the last id of stream %s: %w", Quote(part[i]), err)
			}
			last := LastID{Err: err}
			if err == nil {
				last.ID, last.Err = ParseID(text)
			}
			ids = append(ids, last)
		}
	}
	return ids, nil
}

// Sizes is roughly what each stream takes in memory, in bytes, by its oldest macro
// nodes and with its consumer groups; 0 where it is not known.
func (b *Buffer) Sizes(ctx context.Context, names []string) ([]int64, error) {
	pipe := b.rdb.Pipeline()
	cmds := make([]*redis.IntCmd, len(names))
	for i, name := range names {
		cmds[i] = pipe.MemoryUsage(ctx, b.names.StreamKey(name))
	}
	if _, err := pipe.Exec(ctx); redisconn.IsLost(err) {
		return nil, fmt.Errorf("asking for the sizes of %s: %w", human.Plural(len(names), "stream"), err)
	}
	sizes := make([]int64, len(names))
	for i, cmd := range cmds {
		sizes[i] = cmd.Val()
	}
	return sizes, nil
}

// Range are the ids of a stream from From up to, not including, To; To 0-0 is
// the end.
type Range struct {
	Stream   string
	From, To ID
}

func (r Range) end() string {
	if r.To.IsZero() {
		return "+"
	}
	return "(" + r.To.String()
}

// anyScript keeps the payload on the server.
//
// KEYS[1] stream; ARGV[1] first id, ARGV[2] end
// returns how many entries lie between, 1 at most
var anyScript = redisconn.NewScript(`return #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[2], 'COUNT', 1)`)

// HaveEntries reports which ranges hold an entry, or may do so, in small
// pipelines: the server touches a payload for each that does. An error means
// that the connection broke.
func (b *Buffer) HaveEntries(ctx context.Context, ranges []Range) ([]bool, error) {
	have := make([]bool, 0, len(ranges))
	for part := range slices.Chunk(ranges, infoBatch*b.conn.Width(ctx)) {
		calls := make([]redisconn.Call, len(part))
		for i, r := range part {
			calls[i] = redisconn.OnKey(b.names.StreamKey(r.Stream), r.From.String(), r.end())
		}
		for i, cmd := range b.conn.EvalRead(ctx, anyScript, calls) {
			n, err := cmd.Int64()
			if redisconn.IsLost(err) {
				return nil, fmt.Errorf("looking for entries of stream %s: %w", Quote(part[i].Stream), err)
			}
			have = append(have, err != nil || n > 0)
		}
	}
	return have, nil
}

// CountLimit is where a count of entries ends.
type CountLimit struct{ Entries, Bytes int64 }

// countScript counts entries without sending them. It reads one at a time: the
// server copies each, and only so a large one is not followed by another.
//
// KEYS[1] stream; ARGV[1] first id, ARGV[2] end, ARGV[3] most entries, ARGV[4]
// most bytes of them
// returns {1 if there are no more, count, bytes, id of the last one}
var countScript = redisconn.NewScript(entrySizeLua + `
local from, most, room, count, bytes = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4]), 0, 0
local last = ''
while count < most and bytes < room do
  local entry = redis.call('XRANGE', KEYS[1], from, ARGV[2], 'COUNT', 1)[1]
  if not entry then return {1, count, bytes, last} end
  count, bytes, last = count + 1, bytes + sizeOf(entry), entry[1]
  from = '(' .. last
end
return {0, count, bytes, last}
`)

// A call counts so many entries, and reads so many bytes of them, at most.
const (
	countedEntries = 250
	countedBytes   = 128 << 10
)

// CountRange counts the entries of a range, in calls that the server answers
// quickly. It reports whether it counted all, or ended at the limit.
func (b *Buffer) CountRange(ctx context.Context, r Range, limit CountLimit) (entries int64, all bool, err error) {
	from, bytes := r.From.String(), int64(0)
	for entries < limit.Entries && bytes < limit.Bytes {
		call := redisconn.OnKey(b.names.StreamKey(r.Stream), from, r.end(), min(countedEntries, limit.Entries-entries), min(countedBytes, limit.Bytes-bytes))
		reply, err := b.conn.EvalRead(ctx, countScript, []redisconn.Call{call})[0].Slice()
		if err == nil && len(reply) != 4 {
			err = fmt.Errorf("%w: a count has %d values instead of 4", redisconn.ErrIncomplete, len(reply))
		}
		if err != nil {
			return entries, false, fmt.Errorf("counting entries of stream %s: %w", Quote(r.Stream), err)
		}
		ended, _ := reply[0].(int64)
		count, _ := reply[1].(int64)
		size, _ := reply[2].(int64)
		last, _ := reply[3].(string)
		entries, bytes, from = entries+count, bytes+size, "("+last
		if ended == 1 {
			return entries, true, nil
		}
	}
	return entries, false, nil
}

// NodeLimits is when Redis begins a new macro node of a stream.
type NodeLimits struct{ Bytes, Entries int64 }

// FewEntries are so few that they are waited for: two macro nodes as Redis makes
// them by default.
const FewEntries = 200

// DefaultNodeLimits are Redis's own.
var DefaultNodeLimits = NodeLimits{Bytes: 4096, Entries: 100}

// NodeLimits asks Redis for its limits; where it may not be asked, Redis's
// defaults are assumed.
func (b *Buffer) NodeLimits(ctx context.Context) NodeLimits {
	limits, _ := b.AskNodeLimits(ctx)
	return limits
}

// AskNodeLimits is [Buffer.NodeLimits] that says why Redis did not tell.
func (b *Buffer) AskNodeLimits(ctx context.Context) (NodeLimits, error) {
	limits := DefaultNodeLimits
	config, err := b.rdb.ConfigGet(ctx, "stream-node-max-*").Result()
	if err != nil {
		return limits, fmt.Errorf("asking for the limits of macro nodes: %w", err)
	}
	for name, into := range map[string]*int64{"stream-node-max-bytes": &limits.Bytes, "stream-node-max-entries": &limits.Entries} {
		if n, err := strconv.ParseInt(config[name], 10, 64); err == nil {
			*into = n
		}
	}
	return limits, nil
}

// EntriesPerNode is the most entries of the given size that a macro node
// holds, at least 1.
func (n NodeLimits) EntriesPerNode(entryBytes int64) int64 {
	most := int64(math.MaxInt32)
	if n.Entries > 0 {
		most = n.Entries
	}
	if n.Bytes > 0 && entryBytes > 0 {
		most = min(most, n.Bytes/entryBytes+1)
	}
	return max(1, most)
}

// MostEntries is the most entries that a macro node holds, whatever their size.
func (n NodeLimits) MostEntries() int64 { return n.EntriesPerNode(leastEntryBytes) }

// leastEntryBytes is about what the smallest entry takes in a macro node.
const leastEntryBytes = 10
