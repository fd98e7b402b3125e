package buffer

import (
	"context"
	"fmt"
	"slices"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

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
