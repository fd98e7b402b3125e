package buffer

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// This file counts entries at the ends of a stream by their sizes. What an entry takes
// in its macro node is not known to the byte, but between two bounds: by the format of
// listpacks (Redis, listpack.c and t_stream.c) a text takes its bytes and 2 to 10 more,
// one that is a whole number 10 at most; the names of fields are kept once a node where
// all entries have the same.

// entrySizeLua finds between which bounds, in bytes, an entry lies. The lower one takes it
// that its node holds many others with the same names, the upper one that the node is as
// much larger than what it holds as the allocator ever makes it. In between lies what
// it likely takes: a large one has a node to itself, for which the allocator takes one of
// four sizes up to the next power of two.
const entrySizeLua = `
local function rounded(size)
  if size < 4096 then return size end
  local step = 1024
  while size > 8 * step do step = step * 2 end
  return math.ceil(size / step) * step
end
local function boundsOf(entry)
  local least, most = 8, 40
  for i, text in ipairs(entry[2]) do
    local size = #text
    most = most + size + 11
    if i % 2 == 0 then
      if size <= 20 and string.find(text, '^-?%d+$') then size = math.floor(size / 2) end
      least = least + size + 2
    end
  end
  return least, math.ceil(most * 1.25)
end
local function sizeOf(entry)
  local least = boundsOf(entry)
  return rounded(least)
end
`

// Within bounds what [Buffer.OldestWithin] counts, in bytes.
type Within struct {
	// Bytes is how much the entries take together at most, as far as that is known.
	Bytes int64
	// Most is how much they can free at most, going by the most that each can take,
	// and Beside more for each, but no more than Shared for all of them.
	Most, Beside, Shared int64
	// After an id, 0-0 for the first entry on; Skip so many entries first.
	After ID
	Skip  int64
}

// Counted are entries at an end of a stream, and how many bytes they take.
type Counted struct {
	Entries, Bytes int64
	// Skipped is the id of the last one that was skipped, 0-0 if none was.
	Skipped ID
}

// oldestScript counts the oldest entries.
//
// KEYS[1] stream; ARGV[1] first id, ARGV[2] entries to skip, ARGV[3] how many were
// counted, ARGV[4] their bytes, ARGV[5] at most, ARGV[6] limit of the former, ARGV[7] of
// the latter, ARGV[8] bytes beside each, ARGV[9] the most of these, ARGV[10] entries a call reads, ARGV[11] bytes
// returns {1 if it came to an end, id of the last one, left to skip, count, bytes, at most, id of the last one skipped}
var oldestScript = redisconn.NewScript(entrySizeLua + `
local from, skip, count, size, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local within, room, beside, shared = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local read, bytes, last, skipped = 0, 0, '', ''
while read < tonumber(ARGV[10]) and bytes < tonumber(ARGV[11]) do
  local entry = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', 1)[1]
  if not entry then return {1, last, skip, count, size, most, skipped} end
  local low, high = boundsOf(entry)
  low = rounded(low)
  if skip > 0 then
    skip, skipped = skip - 1, entry[1]
  else
    if size + low > within or most + high + math.min((count + 1) * beside, shared) > room then return {1, last, skip, count, size, most, skipped} end
    count, size, most = count + 1, size + low, most + high
  end
  read, bytes, last = read + 1, bytes + high, entry[1]
  from = '(' .. last
end
return {0, last, skip, count, size, most, skipped}
`)

// OldestWithin counts the oldest entries of a stream that are within the bounds.
func (b *Buffer) OldestWithin(ctx context.Context, stream string, w Within) (Counted, error) {
	var c Counted
	if w.Bytes <= 0 || w.Most <= 0 {
		return c, nil
	}
	from, skip, most := "("+w.After.String(), w.Skip, int64(0)
	for {
		call := redisconn.OnKey(b.names.StreamKey(stream), from, skip, c.Entries, c.Bytes, most, w.Bytes, w.Most, w.Beside, w.Shared, countedEntries, countedBytes)
		reply, err := counts(b.conn.EvalRead(ctx, oldestScript, []redisconn.Call{call})[0], 7)
		if err != nil {
			return c, fmt.Errorf("counting the oldest entries of stream %s: %w", Quote(stream), err)
		}
		skip, c.Entries, c.Bytes, most = reply.numbers[2], reply.numbers[3], reply.numbers[4], reply.numbers[5]
		if skipped := reply.ids[6]; skipped != "" {
			if c.Skipped, err = ParseID(skipped); err != nil {
				return c, err
			}
		}
		if reply.numbers[0] == 1 {
			return c, nil
		}
		from = "(" + reply.ids[1]
	}
}

// newestScript counts the newest entries, until they take so much at least.
//
// KEYS[1] stream; ARGV[1] last id, ARGV[2] how many were counted, ARGV[3] their bytes,
// ARGV[4] how much they are to take, ARGV[5] entries a call reads, ARGV[6] bytes
// returns {1 if it came to an end, id of the last one, count, bytes}
var newestScript = redisconn.NewScript(entrySizeLua + `
local to, count, least, wanted = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local read, bytes, last = 0, 0, ''
while read < tonumber(ARGV[5]) and bytes < tonumber(ARGV[6]) do
  if least >= wanted then return {1, last, count, least} end
  local entry = redis.call('XREVRANGE', KEYS[1], to, '-', 'COUNT', 1)[1]
  if not entry then return {1, last, count, least} end
  local low, high = boundsOf(entry)
  read, bytes, count, least, last = read + 1, bytes + high, count + 1, least + low, entry[1]
  to = '(' .. last
end
return {0, last, count, least}
`)

// NewestOf counts the newest entries of a stream that take so many bytes together, going
// by the least that each can take; all of them if they take less.
func (b *Buffer) NewestOf(ctx context.Context, stream string, bytes int64) (Counted, error) {
	var c Counted
	for to := "+"; ; {
		call := redisconn.OnKey(b.names.StreamKey(stream), to, c.Entries, c.Bytes, bytes, countedEntries, countedBytes)
		reply, err := counts(b.conn.EvalRead(ctx, newestScript, []redisconn.Call{call})[0], 4)
		if err != nil {
			return c, fmt.Errorf("counting the newest entries of stream %s: %w", Quote(stream), err)
		}
		c = Counted{Entries: reply.numbers[2], Bytes: reply.numbers[3]}
		if reply.numbers[0] == 1 {
			return c, nil
		}
		to = "(" + reply.ids[1]
	}
}

// countReply is a reply of numbers and ids.
type countReply struct {
	numbers []int64
	ids     []string
}

func counts(cmd *redis.Cmd, values int) (r countReply, err error) {
	reply, err := cmd.Slice()
	if err == nil && len(reply) != values {
		err = fmt.Errorf("%w: a count has %d values instead of %d", redisconn.ErrIncomplete, len(reply), values)
	}
	if err != nil {
		return r, err
	}
	r.numbers, r.ids = make([]int64, values), make([]string, values)
	for i, v := range reply {
		r.numbers[i], _ = v.(int64)
		r.ids[i], _ = v.(string)
	}
	return r, nil
}
