package buffer

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// OldestRequest asks what the oldest entry of a stream is.
type OldestRequest struct {
	Stream string
	// Before is the id below which an entry counts as old; not 0-0.
	Before ID
	// Count is up to how many old entries are counted.
	Count int64
}

// OldestResult is what is found at a stream's old end.
type OldestResult struct {
	// Length in entries; 0 where there is no key.
	Length int64
	// Old is how many entries lie below the id that was asked for, 1 at most
	// unless more were to be counted.
	Old int64
	// First is the id of the oldest entry, if that one is old.
	First ID
	// EntryBytes is roughly what an entry takes, if one is old: the oldest one,
	// or one on the average of some macro nodes if that is more. Where the stream has
	// consumer groups it is the mean of some of the oldest.
	EntryBytes int64
	// Err is why the stream could not be asked.
	Err error
}

// headScript looks at the oldest entries of streams and leaves the payloads on
// the server.
//
// KEYS streams
// ARGV[1] the end of the range in which entries are old, ARGV[2] how many are
// counted, ARGV[3] how many bytes of entries a call reads before it leaves the other
// streams to another
// returns for each key, as far as it came, an error; or its length; or, if the
// oldest entry is old, {length, number of old entries, bytes an entry, id of the
// oldest}
var headScript = redisconn.NewScript(oldestMeanLua + `
local call, copied, to, count, room = redis.call, 0, ARGV[1], ARGV[2], tonumber(ARGV[3])
local function bytes(key, entry, length)
  local size, all = 0, redis.pcall('MEMORY', 'USAGE', key)
  for _, text in ipairs(entry[2]) do size = size + #text end
  copied = copied + size
  if hasGroups(key) then
    local mean, _, sum = oldestMean(key)
    copied = copied + sum
    return math.max(1, math.floor(mean))
  end
  if type(all) ~= 'number' then return size end
  return math.max(size, math.floor(all / length))
end
local heads = {}
for i, key in ipairs(KEYS) do
  if copied > room then break end
  local old = redis.pcall('XRANGE', key, '-', to, 'COUNT', count)
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

// Oldest looks at the old end of streams, in one pipeline unless their entries are
// large. An error means that the connection broke.
func (b *Buffer) Oldest(ctx context.Context, looks []OldestRequest) ([]OldestResult, error) {
	heads := make([]OldestResult, len(looks))
	todo := make([]int, len(looks))
	for i := range looks {
		todo[i] = i
	}
	for len(todo) > 0 {
		var err error
		if todo, err = b.oldest(ctx, looks, todo, heads); err != nil {
			return nil, err
		}
	}
	return heads, nil
}

// oldest looks at the streams whose numbers are given, and returns the numbers of
// those that a call left to another: each call looks at one at least.
func (b *Buffer) oldest(ctx context.Context, looks []OldestRequest, todo []int, heads []OldestResult) (left []int, err error) {
	perCall := headsPerCall
	if _, ok := b.rdb.(*redis.ClusterClient); ok {
		perCall = 1
	}
	parts := alike(looks, todo, perCall)
	calls := make([]redisconn.Call, len(parts))
	for n, part := range parts {
		first := looks[part[0]]
		calls[n] = redisconn.Call{Keys: make([]string, len(part)), Args: []any{"(" + first.Before.String(), max(1, first.Count), headsBytes}}
		for k, i := range part {
			calls[n].Keys[k] = b.names.StreamKey(looks[i].Stream)
		}
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
				heads[i] = OldestResult{Err: err}
			case k < len(replies):
				heads[i] = parseOldest(replies[k])
			default:
				left = append(left, i)
			}
		}
	}
	return left, nil
}

// alike are the looks whose numbers are given, in parts of so many at most that look
// for the same: most streams have the same limit.
func alike(looks []OldestRequest, todo []int, most int) [][]int {
	var parts [][]int
	last := make(map[OldestRequest]int) // the part that is being filled
	for _, i := range todo {
		what := OldestRequest{Before: looks[i].Before, Count: looks[i].Count}
		at, ok := last[what]
		if !ok || len(parts[at]) == most {
			at = len(parts)
			last[what], parts = at, append(parts, nil)
		}
		parts[at] = append(parts[at], i)
	}
	return parts
}

func parseOldest(reply any) (h OldestResult) {
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
