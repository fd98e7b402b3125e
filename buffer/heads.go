package buffer

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Look asks what the oldest entry of a stream is.
type Look struct {
	Stream string
	// Before is the id below which an entry counts as old.
	Before ID
	// Ahead asks whether ids lie too far ahead even if no entry is old.
	Ahead bool
}

// Head is what is found at a stream's old end.
type Head struct {
	// Length in entries; 0 where there is no key.
	Length int64
	// Old reports that the oldest entry lies below the id that was asked for.
	Old bool
	// First is the oldest entry's id, if Old.
	First ID
	// EntryBytes is roughly what an entry takes, if Old: the oldest one, or
	// one on the average of some macro nodes if that is more.
	EntryBytes int64
	// Ahead reports that the newest ids lie too far ahead to be times; it is
	// looked at if Old, or if asked for.
	Ahead bool
	// Err is why the stream could not be asked.
	Err error
}

// headScript looks at the oldest entries of streams and leaves the payloads on
// the server.
//
// KEYS streams
// ARGV[1] id from which on an id is too far ahead; for KEYS[i], ARGV[2i] end of
// the range in which entries are old and ARGV[2i+1] "1" to look ahead anyway
// returns for each key an error; or its length; or, if the oldest entry is old
// or the ids' end is asked for, {length, 1 if too far ahead, else 0} and, if old, the
// oldest entry's id and bytes an entry
var headScript = newScript(`
local call = redis.call
local function ahead(key) return #call('XRANGE', key, ARGV[1], '+', 'COUNT', '1') end
local function bytes(key, entry, length)
  local size, all = 0, redis.pcall('MEMORY', 'USAGE', key)
  for _, text in ipairs(entry[2]) do size = size + #text end
  if type(all) ~= 'number' then return size end
  return math.max(size, math.floor(all / length))
end
local heads = {}
for i, key in ipairs(KEYS) do
  local old = redis.pcall('XRANGE', key, '-', ARGV[2 * i], 'COUNT', '1')
  if old.err then
    heads[i] = old
  else
    local length = call('XLEN', key)
    if old[1] then
      heads[i] = {length, ahead(key), old[1][1], bytes(key, old[1], length)}
    elseif ARGV[2 * i + 1] == '1' then
      heads[i] = {length, ahead(key)}
    else
      heads[i] = length
    end
  end
end
return heads
`)

// headsPerCall is how many streams one call of headScript looks at: enough to
// share the cost of a call, few enough that 1 MiB messages stall nobody.
const headsPerCall = 32

// Heads looks at the old end of streams, in one pipeline; now is the server's
// time. An error means that the connection broke.
func (b *Buffer) Heads(ctx context.Context, looks []Look, now time.Time) ([]Head, error) {
	perCall := headsPerCall
	if _, ok := b.rdb.(*redis.ClusterClient); ok {
		perCall = 1
	}
	tooFarAhead := strconv.FormatInt(now.Add(MaxTimeAhead).UnixMilli()+1, 10)
	var calls []scriptCall
	for part := range slices.Chunk(looks, perCall) {
		var more moreKeys
		args := []any{more, tooFarAhead}
		for i, l := range part {
			if i > 0 {
				more = append(more, b.names.StreamKey(l.Stream))
			}
			flag := "0"
			if l.Ahead {
				flag = "1"
			}
			args = append(args, "("+l.Before.String(), flag)
		}
		args[0] = more
		calls = append(calls, scriptCall{b.names.StreamKey(part[0].Stream), args})
	}
	heads := make([]Head, 0, len(looks))
	for i, cmd := range b.evalRead(ctx, headScript, calls) {
		replies, err := cmd.Slice()
		if IsLost(err) {
			return nil, fmt.Errorf("looking at the oldest entry of stream %s and others: %w", Quote(looks[i*perCall].Stream), err)
		}
		for n := range min(perCall, len(looks)-i*perCall) {
			if err != nil {
				heads = append(heads, Head{Err: err})
				continue
			}
			heads = append(heads, parseHead(replies[n]))
		}
	}
	return heads, nil
}

func parseHead(reply any) (h Head) {
	switch reply := reply.(type) {
	case error:
		h.Err = reply
	case int64:
		h.Length = reply
	case []any:
		if len(reply) < 2 {
			break
		}
		h.Length, _ = reply[0].(int64)
		h.Ahead = reply[1] == int64(1)
		if len(reply) == 4 {
			h.Old = true
			text, _ := reply[2].(string)
			h.First, h.Err = ParseID(text)
			h.EntryBytes, _ = reply[3].(int64)
		}
	}
	return h
}

// HaveCounters reports, for each stream, whether it has an entry whose id is
// too small for a time, in one pipeline; false where the stream could not be
// asked. No payload is read, unless there is such an entry.
func (b *Buffer) HaveCounters(ctx context.Context, names []string) ([]bool, error) {
	pipe := b.rdb.Pipeline()
	cmds := make([]*redis.XMessageSliceCmd, len(names))
	end := strconv.Itoa(MinTimeMs - 1)
	for i, name := range names {
		cmds[i] = pipe.XRangeN(ctx, b.names.StreamKey(name), "-", end, 1)
	}
	if _, err := pipe.Exec(ctx); IsLost(err) {
		return nil, fmt.Errorf("looking for ids that are not times in %d streams: %w", len(names), err)
	}
	have := make([]bool, len(names))
	for i, cmd := range cmds {
		have[i] = len(cmd.Val()) > 0
	}
	return have, nil
}

// Sizes is roughly what each stream takes in memory, in bytes; 0 where it is
// not known.
func (b *Buffer) Sizes(ctx context.Context, names []string) ([]int64, error) {
	pipe := b.rdb.Pipeline()
	cmds := make([]*redis.IntCmd, len(names))
	for i, name := range names {
		cmds[i] = pipe.MemoryUsage(ctx, b.names.StreamKey(name), 1)
	}
	if _, err := pipe.Exec(ctx); IsLost(err) {
		return nil, fmt.Errorf("asking for the sizes of %d streams: %w", len(names), err)
	}
	sizes := make([]int64, len(names))
	for i, cmd := range cmds {
		sizes[i] = cmd.Val()
	}
	return sizes, nil
}

// olderScript counts the oldest entries below an id without sending them.
//
// KEYS[1] stream; ARGV[1] id; ARGV[2] most that are counted
// returns the count
var olderScript = newScript(`return #redis.call('XRANGE', KEYS[1], '-', '(' .. ARGV[1], 'COUNT', ARGV[2])`)

// CountBefore counts the entries below id, up to most; the server reads their
// payloads, so most is to be small.
func (b *Buffer) CountBefore(ctx context.Context, stream string, id ID, most int64) (int64, error) {
	n, err := b.evalRead(ctx, olderScript, []scriptCall{{b.names.StreamKey(stream), []any{id.String(), most}}})[0].Int64()
	if err != nil {
		return 0, fmt.Errorf("counting old entries of stream %s: %w", Quote(stream), err)
	}
	return n, nil
}

// NodeLimits is when Redis begins a new macro node of a stream.
type NodeLimits struct{ Bytes, Entries int64 }

// DefaultNodeLimits are Redis's own.
var DefaultNodeLimits = NodeLimits{Bytes: 4096, Entries: 100}

// NodeLimits asks Redis for its limits; where it may not be asked, Redis's
// defaults are assumed.
func (b *Buffer) NodeLimits(ctx context.Context) NodeLimits {
	limits := DefaultNodeLimits
	config, err := b.rdb.ConfigGet(ctx, "stream-node-max-*").Result()
	if err != nil {
		return limits
	}
	for name, into := range map[string]*int64{"stream-node-max-bytes": &limits.Bytes, "stream-node-max-entries": &limits.Entries} {
		if n, err := strconv.ParseInt(config[name], 10, 64); err == nil {
			*into = n
		}
	}
	return limits
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
