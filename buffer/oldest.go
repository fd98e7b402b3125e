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

// oldEndScript looks at the oldest entries of streams and leaves the payloads on
// the server. It reads one at a time: the server copies each, and only so a large one
// is not followed by another.
//
// KEYS streams
// ARGV[1] the end of the range in which entries are old, ARGV[2] how many are
// counted, ARGV[3] the id to go on after, "-" to begin, ARGV[4] how many bytes, and
// ARGV[5] how many entries a call reads before it leaves the rest to another
// returns for each key, as far as it came, an error; or its length; or, if an entry is
// old, {length, number of old entries, bytes an entry, id of the first, id of the last,
// 1 if there are no more to count}
var oldEndScript = redisconn.NewScript(oldestMeanLua + `
local call, to, count, start, room, most = redis.call, ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local copied, read = 0, 0
local function sizeOfTexts(entry)
  local size = 0
  for _, text in ipairs(entry[2]) do size = size + #text end
  copied, read = copied + size, read + 1
  return size
end
local function bytes(key, size, length)
  if hasGroups(key) then
    local mean, n, sum = oldestMean(key)
    copied, read = copied + sum, read + n
    return math.max(1, math.floor(mean))
  end
  local all = redis.pcall('MEMORY', 'USAGE', key)
  if type(all) ~= 'number' then return size end
  return math.max(size, math.floor(all / length))
end
local function oldest(key)
  local found = redis.pcall('XRANGE', key, start, to, 'COUNT', 1)
  if found.err then return found end
  local length, first = call('XLEN', key), found[1]
  if not first then return length end
  local each, last, old = 0, first[1], 1
  local size = sizeOfTexts(first)
  if start == '-' then each = bytes(key, size, length) end
  while old < count do
    if copied > room or read >= most then return {length, old, each, first[1], last, 0} end
    local entry = call('XRANGE', key, '(' .. last, to, 'COUNT', 1)[1]
    if not entry then break end
    sizeOfTexts(entry)
    last, old = entry[1], old + 1
  end
  return {length, old, each, first[1], last, 1}
end
local found = {}
for i, key in ipairs(KEYS) do
  if copied > room or read >= most then break end
  found[i] = oldest(key)
end
return found
`)

// One call of oldEndScript looks at so many streams at most, enough to share the
// cost of a call, and reads about so many bytes and entries.
const (
	oldestPerCall = 32
	oldestBytes   = 256 << 10
	oldestEntries = 100
)

// lookOf is what is still to be looked at in a stream: Count entries after the last one
// that was counted, if one was.
type lookOf struct {
	OldestRequest
	last ID
}

func (l lookOf) start() string {
	if l.last.IsZero() {
		return "-"
	}
	return "(" + l.last.String()
}

// Oldest looks at the old end of streams, in one pipeline unless their entries are
// large or many. An error means that the connection broke.
func (b *Buffer) Oldest(ctx context.Context, looks []OldestRequest) ([]OldestResult, error) {
	found := make([]OldestResult, len(looks))
	rest := make([]lookOf, len(looks))
	todo := make([]int, len(looks))
	for i := range looks {
		todo[i], rest[i] = i, lookOf{OldestRequest: looks[i]}
		rest[i].Count = max(1, looks[i].Count)
	}
	for len(todo) > 0 {
		var err error
		if todo, err = b.oldest(ctx, rest, todo, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// oldest looks at the streams whose numbers are given, and returns the numbers of
// those that a call left to another: each call reads an entry at least.
func (b *Buffer) oldest(ctx context.Context, looks []lookOf, todo []int, found []OldestResult) (left []int, err error) {
	perCall := oldestPerCall
	if _, ok := b.rdb.(*redis.ClusterClient); ok {
		perCall = 1
	}
	parts := alike(looks, todo, perCall)
	calls := make([]redisconn.Call, len(parts))
	for n, part := range parts {
		first := looks[part[0]]
		calls[n] = redisconn.Call{Keys: make([]string, len(part)), Args: []any{"(" + first.Before.String(), first.Count, first.start(), oldestBytes, oldestEntries}}
		for k, i := range part {
			calls[n].Keys[k] = b.names.StreamKey(looks[i].Stream)
		}
	}
	for n, cmd := range b.conn.EvalRead(ctx, oldEndScript, calls) {
		part := parts[n]
		replies, err := cmd.Slice()
		if redisconn.IsLost(err) {
			return nil, fmt.Errorf("looking at the oldest entry of stream %s and others: %w", Quote(looks[part[0]].Stream), err)
		}
		if err == nil && (len(replies) == 0 || len(replies) > len(part)) {
			err = fmt.Errorf("%w: %d oldest entries of %d streams", redisconn.ErrIncomplete, len(replies), len(part))
		}
		for k, i := range part {
			switch {
			case err != nil:
				found[i] = OldestResult{Err: err}
			case k >= len(replies), !found[i].add(replies[k], &looks[i]):
				left = append(left, i)
			}
		}
	}
	return left, nil
}

// alike are the looks whose numbers are given, in parts of so many at most that look
// for the same: most streams have the same limit.
func alike(looks []lookOf, todo []int, most int) [][]int {
	var parts [][]int
	last := make(map[lookOf]int) // the part that is being filled
	for _, i := range todo {
		what := looks[i]
		what.Stream = ""
		at, ok := last[what]
		if !ok || len(parts[at]) == most {
			at = len(parts)
			last[what], parts = at, append(parts, nil)
		}
		parts[at] = append(parts[at], i)
	}
	return parts
}

// add takes in what a call found, and reports whether that was all. Else the look goes on
// after the last entry that it counted.
func (h *OldestResult) add(reply any, look *lookOf) (all bool) {
	found, last, all := parseOldest(reply)
	if found.Err == nil && !all {
		look.Count, look.last = look.Count-found.Old, last
	}
	if h.Old > 0 && found.Err == nil { // it goes on
		found.Old = min(found.Old+h.Old, found.Length)
		found.First, found.EntryBytes = h.First, h.EntryBytes
	}
	*h = found
	return all || found.Err != nil
}

func parseOldest(reply any) (h OldestResult, last ID, all bool) {
	switch reply := reply.(type) {
	case error:
		h.Err = reply
	case int64:
		h.Length = reply
	case []any:
		if len(reply) != 6 {
			h.Err = fmt.Errorf("%w: an oldest entry has %d values instead of 6", redisconn.ErrIncomplete, len(reply))
			return h, last, true
		}
		h.Length, _ = reply[0].(int64)
		h.Old, _ = reply[1].(int64)
		h.EntryBytes, _ = reply[2].(int64)
		first, _ := reply[3].(string)
		if h.First, h.Err = ParseID(first); h.Err != nil {
			return h, last, true
		}
		ended, _ := reply[5].(int64)
		text, _ := reply[4].(string)
		last, h.Err = ParseID(text)
		return h, last, ended == 1
	default:
		h.Err = fmt.Errorf("%w: an oldest entry is %v", redisconn.ErrIncomplete, reply)
	}
	return h, last, true
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
