package registry

import (
	"context"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// This file says what the copy of a session that has a key of its own is: the key
// under another name, with a field more.

// copyField is a field of a copy that no session has: when it was copied, the time
// to live that was left, and its size, in ms and bytes; then what was left to fields
// that expire by themselves: for each the length of its name, its name and ms.
const copyField = "streamkeeper:undo"

// maxCopyFields is how many fields a session may have to be copied: they are
// looked at.
const maxCopyFields = "1024"

// copyOverhead is what a copy takes beside what MEMORY USAGE says: its entries in
// the tables of keys and of times to live, which grow by doubling.
const copyOverhead = "130"

// copyMeta is what [copyField] holds, as far as Go reads it.
type copyMeta struct {
	at, left, bytes int64
}

func copyMetaOf(text string) (m copyMeta, ok bool) {
	parts := strings.SplitN(text, " ", 4)
	if len(parts) < 3 {
		return copyMeta{}, false
	}
	return copyMeta{number(parts[0]), number(parts[1]), number(parts[2])}, true
}

// copyOfKey reads the copy of a key: the stream's name and what [copyField] holds.
func copyOfKey(values []any) (c Copy, ok bool) {
	text, _ := values[1].(string)
	meta, ok := copyMetaOf(text)
	if !ok {
		return Copy{}, false
	}
	stream := newOptional(values[0])
	return Copy{
		Stream: stream.text, HasStream: stream.set,
		Expired: time.UnixMilli(meta.at).UTC(), Left: time.Duration(max(0, meta.left)) * time.Millisecond,
		meta: text, bytes: meta.bytes,
	}, true
}

// keyUndoScript puts the key of one session back, with the times to live that it
// and its fields had left, and notes so. What fails on the way is taken back. Its
// first write makes Redis carry out the others even at maxmemory.
//
// KEYS[1] the key, KEYS[2] its copy, KEYS[3] the note; ARGV for how many ms to
// keep that
// returns none, exists, forever or done
var keyUndoScript = redisconn.NewScript(nowLua + `
if redis.call('TYPE', KEYS[2]).ok ~= 'hash' then return 'none' end
local meta = redis.call('HGET', KEYS[2], '` + copyField + `')
if not meta or redis.call('HLEN', KEYS[2]) < 2 then return 'none' end
if redis.call('EXISTS', KEYS[1]) == 1 then return 'exists' end
local left, ends = string.match(meta, '^%d+ (%-?%d+) %d+ ?(.*)$')
local gone, names, noted = redis.call('PTTL', KEYS[2]), {}, false
left = tonumber(left) or -1
local function takeBack()
  if #names > 0 then redis.pcall('HPERSIST', KEYS[2], 'FIELDS', #names, unpack(names)) end
  redis.pcall('HSET', KEYS[2], '` + copyField + `', meta)
  if gone > 0 then redis.pcall('PEXPIRE', KEYS[2], gone) end
  if noted then redis.pcall('UNLINK', KEYS[3]) end
end
redis.call('PERSIST', KEYS[2])
while ends and ends ~= '' do
  local n, at = string.match(ends, '^(%d+):()')
  local name = string.sub(ends, at, at + n - 1)
  local ms, rest = string.match(ends, '^(%d+) ()', at + n)
  if redis.pcall('HPEXPIREAT', KEYS[2], string.format('%.0f', now + ms), 'FIELDS', 1, name).err then
    takeBack()
    return 'forever'
  end
  names[#names + 1], ends = name, string.sub(ends, rest)
end
local function try(...)
  local done = redis.pcall(...)
  if type(done) ~= 'table' or not done.err then noted = true return end
  takeBack()
  return done -- says what is wrong
end
return try('SET', KEYS[3], string.format('%.0f', now), 'PX', ARGV[1])
  or try('HDEL', KEYS[2], '` + copyField + `')
  or left > 0 and try('PEXPIRE', KEYS[2], left)
  or try('RENAME', KEYS[2], KEYS[1])
  or 'done'
`)

func (r *Registry) undoAtKeys(ctx context.Context, copies []Copy, indexes []int, how Undoing, ended []Undone, failed []error) {
	var calls []redisconn.Call
	for _, i := range indexes {
		calls = append(calls, redisconn.Call{Keys: r.withAside(r.key(copies[i].Layout, copies[i].Identity)), Args: []any{how.Notes.Milliseconds()}})
	}
	r.readUndone(r.conn.EvalWrite(ctx, keyUndoScript, calls), copies, indexes, ended, failed)
}
