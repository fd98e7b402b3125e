package buffer

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// MessageRef is the place of one message: its entry's id, and the session that it
// names in its field "id", as [SessionRef] writes it.
type MessageRef struct {
	ID      ID
	Session string
}

// maxMark is the length past which a session id is hashed before it is sent.
const maxMark = 64

// SessionRef is how a stream session id appears in a [MessageRef]: as it is, or its
// SHA-1 where it is long.
func SessionRef(id string) string {
	if len(id) <= maxMark {
		return id
	}
	sum := sha1.Sum([]byte(id))
	return hex.EncodeToString(sum[:])
}

// Arrivals asks which sessions the messages of a stream belong to, the newest
// message first.
type Arrivals struct {
	Stream string
	// After and Before bound the ids, both exclusive; 0-0 as Before means that
	// there is no end.
	After, Before ID
	// Since ends the look at a message whose id is an earlier time.
	Since time.Time
	// Messages and Bytes bound the look.
	Messages int
	Bytes    int64
}

// Arrived is the outcome of [Arrivals].
type Arrived struct {
	// Marks are the two newest messages of each session, in no order.
	Marks []MessageRef
	// Messages and Bytes are how much was looked at.
	Messages int
	Bytes    int64
	// Newest and Oldest are the outermost messages that were looked at, 0-0 if
	// there was none.
	Newest, Oldest ID
	// End reports that there are no more messages in the range.
	End bool
	// Emptied is the last id of a stream that had entries and has none any more.
	Emptied ID
	Err     error
}

// What one call looks at for each millisecond of stall: a payload is copied
// into Lua, which takes 1.8 ms a megabyte, and each message takes 4.5 µs besides.
const (
	lookBytes    = 384 << 10
	lookMessages = 64
	// lookBatch is how many streams share one call's bounds in a pipeline.
	lookBatch = 8
)

// markLua notes a message as the first or second newest of its session, and
// adds up what was looked at. It reads one entry at a time: only then a large
// one is not followed by another.
const markLua = `
local marks, times, messages, bytes, largest = {}, {}, 0, 0, 0
local function look(entry)
  local fields, size, session = entry[2], 0, nil
  for i = 1, #fields, 2 do
    size = size + #fields[i] + #fields[i + 1]
    if fields[i] == 'id' and not session then session = fields[i + 1] end
  end
  messages, bytes, largest = messages + 1, bytes + size, math.max(largest, size)
  if not session then return end
  if #session > 64 then session = redis.sha1hex(session) end
  local seen = times[session] or 0
  if seen < 2 then
    times[session] = seen + 1
    marks[#marks + 1] = entry[1]
    marks[#marks + 1] = session
  end
end
`

// arrivalsScript looks at the newest messages, and keeps their payloads on the
// server.
//
// KEYS[1] stream; ARGV[1] and ARGV[2] range from the largest id to the
// smallest, ARGV[3] ms before which a message ends the look, ARGV[4] least ms
// of a time, ARGV[5] most messages, ARGV[6] most bytes
// returns {1 if there are no more, messages, bytes, newest id, oldest id, marks, last id of a stream without entries}
var arrivalsScript = redisconn.NewScript(`
local kind = redis.call('TYPE', KEYS[1])
if (kind.ok or kind) ~= 'stream' then return {1, 0, 0, '0-0', '0-0', {}, '0-0'} end
local top, since, least, most, room = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
` + markLua + `
local ended, newest, oldest = 0, '0-0', '0-0'
while messages < most and (messages == 0 or bytes + largest <= room) do
  local entry = redis.call('XREVRANGE', KEYS[1], top, ARGV[2], 'COUNT', 1)[1]
  if not entry then ended = 1; break end
  local ms = tonumber(string.match(entry[1], '^%d+'))
  if messages == 0 then newest = entry[1] end
  if ms >= least and ms < since then ended = 1; break end
  look(entry)
  oldest, top = entry[1], '(' .. entry[1]
end
local emptied = '0-0'
if messages == 0 and redis.call('XLEN', KEYS[1]) == 0 then
  local info = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' and info[i + 1] ~= '' then emptied = info[i + 1] end
  end
end
return {ended, messages, bytes, newest, oldest, marks, emptied}
`)

// Arrivals looks at messages of streams, in calls within the stall. Where the
// bounds of one call end the look, [Arrived.Oldest] says where to go on. An
// error means that the connection broke.
func (b *Buffer) Arrivals(ctx context.Context, asks []Arrivals) ([]Arrived, error) {
	outcomes := make([]Arrived, 0, len(asks))
	for len(outcomes) < len(asks) {
		part := asks[len(outcomes):min(len(asks), len(outcomes)+lookBatch)]
		calls := make([]redisconn.Call, len(part))
		for i, ask := range part {
			top := "+"
			if !ask.Before.IsZero() {
				top = "(" + ask.Before.String()
			}
			calls[i] = redisconn.OnKey(b.names.StreamKey(ask.Stream),
				top, "("+ask.After.String(), ask.Since.UnixMilli(), MinTimeMs,
				max(1, min(ask.Messages, b.lookMessages()/len(part))), max(1, min(ask.Bytes, b.lookBytes()/int64(len(part)))),
			)
		}
		for i, cmd := range b.conn.EvalRead(ctx, arrivalsScript, calls) {
			reply, err := cmd.Slice()
			if redisconn.IsLost(err) {
				return outcomes, fmt.Errorf("looking at the messages of stream %s: %w", Quote(part[i].Stream), err)
			}
			outcomes = append(outcomes, parseArrived(reply, err))
		}
	}
	return outcomes, nil
}

func (b *Buffer) lookBytes() int64 {
	return min(maxSlice, max(minSlice, int64(b.maxStall.Seconds()*1000*lookBytes)))
}

func (b *Buffer) lookMessages() int {
	return min(16*lookMessages, max(lookMessages/4, int(b.maxStall.Seconds()*1000*lookMessages)))
}

func parseArrived(reply []any, err error) Arrived {
	if err == nil && len(reply) != 7 {
		err = fmt.Errorf("%d values instead of 7", len(reply))
	}
	if err != nil {
		return Arrived{Err: err}
	}
	ended, _ := reply[0].(int64)
	messages, _ := reply[1].(int64)
	a := Arrived{End: ended == 1, Messages: int(messages)}
	a.Bytes, _ = reply[2].(int64)
	for i, into := range map[int]*ID{3: &a.Newest, 4: &a.Oldest, 6: &a.Emptied} {
		text, _ := reply[i].(string)
		if *into, err = ParseID(text); err != nil {
			return Arrived{Err: err}
		}
	}
	a.Marks = parseMarks(texts(reply[5]))
	return a
}

// spreadScript looks at the first message at or after each of some points.
//
// KEYS[1] stream; ARGV[1] largest id, exclusive, ARGV[2] most bytes, ARGV[3…]
// the points, in order
// returns {points that were looked at, messages, bytes, marks}
var spreadScript = redisconn.NewScript(`
local kind = redis.call('TYPE', KEYS[1])
if (kind.ok or kind) ~= 'stream' then return {#ARGV - 2, 0, 0, {}} end
local room, last = tonumber(ARGV[2]), 0
` + markLua + `
local done = 0
for i = 3, #ARGV do
  if messages > 0 and bytes + largest > room then break end
  done = done + 1
  if tonumber(ARGV[i]) > last then
    local entry = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[1], 'COUNT', 1)[1]
    if not entry then done = #ARGV - 2; break end
    look(entry)
    last = tonumber(string.match(entry[1], '^%d+'))
  end
end
return {done, messages, bytes, marks}
`)

// Spread looks at the first message at or after each of the points in time,
// which are in order, below an id. It reports how many of the points it came
// to before one call's bounds ended it.
func (b *Buffer) Spread(ctx context.Context, stream string, points []time.Time, before ID, bytes int64) (done int, a Arrived, err error) {
	args := []any{"(" + before.String(), max(1, min(bytes, b.lookBytes()))}
	for _, p := range points {
		args = append(args, strconv.FormatInt(max(0, p.UnixMilli()), 10))
	}
	reply, err := b.conn.EvalRead(ctx, spreadScript, []redisconn.Call{redisconn.OnKey(b.names.StreamKey(stream), args...)})[0].Slice()
	if err == nil && len(reply) != 4 {
		err = fmt.Errorf("%d values instead of 4", len(reply))
	}
	if err != nil {
		return 0, Arrived{}, fmt.Errorf("looking at messages of stream %s: %w", Quote(stream), err)
	}
	points64, _ := reply[0].(int64)
	messages, _ := reply[1].(int64)
	a.Messages = int(messages)
	a.Bytes, _ = reply[2].(int64)
	a.Marks = parseMarks(texts(reply[3]))
	return int(points64), a, nil
}

func parseMarks(reply []string) []MessageRef {
	var marks []MessageRef
	for i := 0; i+1 < len(reply); i += 2 {
		if id, err := ParseID(reply[i]); err == nil {
			marks = append(marks, MessageRef{id, reply[i+1]})
		}
	}
	return marks
}

// WalkStreamKeys visits the names of all streams that have a key and are ours,
// listed or not, by a scan of the keyspace of every master; a name may come
// twice. An error means that the scan is not complete.
func (b *Buffer) WalkStreamKeys(ctx context.Context, visit func(names []string) error) error {
	prefix := b.names.StreamPrefix
	ours := func(_ context.Context, keys []string) ([]string, error) {
		names := keys[:0]
		for _, key := range keys {
			if name := key[len(prefix):]; b.Owns(name) {
				names = append(names, name)
			}
		}
		return names, nil
	}
	return redisconn.WalkKeyspace(ctx, b.conn, []string{prefix}, "stream", ours, visit)
}
