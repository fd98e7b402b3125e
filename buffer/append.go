package buffer

import (
	"context"
	"fmt"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// Silence says which messages would show that a session is still alive: its own
// that came after After, and are not older than Since.
type Silence struct {
	After ID
	Since time.Time
	// Now is the server's time, by which ids are judged to be times.
	Now time.Time
}

// Appending is how an attempt to append a message ended.
type Appending int

// The ends of an attempt to append.
const (
	// NotAppended: the session is not silent, or so much came to the stream
	// meanwhile that this is not known; or the key is no stream, or its ids are
	// not times, so that one of Redis's would spoil them.
	NotAppended Appending = iota
	// NoStream: there is no stream, or it never had an entry.
	NoStream
	// Appended: the message is there, perhaps since an earlier attempt.
	Appended
)

// appendScript appends a message to a stream unless others of its session came
// to it. One that is the same does not count: it is from an earlier attempt,
// and is not repeated.
//
// KEYS[1] stream; ARGV[1] session id, ARGV[2] data, ARGV[3] id after which
// messages count, ARGV[4] ms from which they count, ARGV[5] and ARGV[6] least
// and most ms of a last id that is a time, ARGV[7] most messages and ARGV[8]
// most bytes to look at
// returns an [Appending]
var appendScript = redisconn.NewScript(`
local kind = redis.call('TYPE', KEYS[1])
kind = kind.ok or kind
if kind == 'none' then return 1 elseif kind ~= 'stream' then return 0 end
local info = redis.call('XINFO', 'STREAM', KEYS[1])
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' then
    local ms = tonumber(string.match(info[i + 1], '^%d*')) or 0
    if ms == 0 and (info[i + 1] == '' or info[i + 1] == '0-0') then return 1 end
    if ms < tonumber(ARGV[5]) or ms > tonumber(ARGV[6]) then return 0 end
  end
end
local there, top, messages, bytes = false, '+', 0, 0
while true do
  local entry = redis.call('XREVRANGE', KEYS[1], top, '(' .. ARGV[3], 'COUNT', 1)[1]
  if not entry or tonumber(string.match(entry[1], '^%d+')) < tonumber(ARGV[4]) then break end
  local fields, id, data = entry[2], nil, nil
  for i = 1, #fields, 2 do
    bytes = bytes + #fields[i] + #fields[i + 1]
    if fields[i] == 'id' then id = fields[i + 1] elseif fields[i] == 'data' then data = fields[i + 1] end
  end
  if id == ARGV[1] then
    if data ~= ARGV[2] then return 0 end
    there = true
  end
  top, messages = '(' .. entry[1], messages + 1
  if messages >= tonumber(ARGV[7]) or bytes > tonumber(ARGV[8]) then return 0 end
end
if not there then redis.call('XADD', KEYS[1], 'NOMKSTREAM', '*', 'id', ARGV[1], 'data', ARGV[2]) end
return 2
`)

// AppendIfSilent appends a message of a session to its stream, if there is one,
// unless other messages of the session came to it.
func (b *Buffer) AppendIfSilent(ctx context.Context, s registry.Session, data []byte, silence Silence) (Appending, error) {
	call := redisconn.OnKey(b.names.StreamKey(s.Stream),
		s.ID, data, silence.After.String(), silence.Since.UnixMilli(), MinTimeMs, silence.Now.Add(MaxTimeAhead).UnixMilli(),
		b.lookMessages(), b.lookBytes(),
	)
	end, err := b.conn.EvalWrite(ctx, appendScript, []redisconn.Call{call})[0].Int()
	if err != nil {
		return NotAppended, fmt.Errorf("appending to stream %s: %w", Quote(s.Stream), err)
	}
	return Appending(end), nil
}
