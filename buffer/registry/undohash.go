package registry

import (
	"context"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// This file puts sessions back into the shared Hash.

// maxSince is how many sessions may expire between the look at the copies and the
// return of one: another copy of it may be among them.
const maxSince = "500"

// maxNotes is how many sessions of the shared Hash may be noted as put back.
const maxNotes = 100_000

// hashUndoScript puts the fields of one session back, and notes so. Where the whole
// Hash has gone, it has the time to live that was left. What fails on the way is
// taken back. Its first write makes Redis carry out the others even at
// maxmemory.
//
// KEYS[1] the Hash, KEYS[2] the copies, KEYS[3] the notes; ARGV id of the copy's
// entry, for how many ms to keep the note, how many there may be, the id of the
// newest entry when it was found to be the newest copy of its session, what goes
// before the names of its fields, and the fields that show that it is there
// returns none, exists, full, forever or done
var hashUndoScript = redisconn.NewScript(nowLua + noteLua + `
local found = redis.call('XRANGE', KEYS[2], ARGV[1], ARGV[1])[1]
if not found then return 'none' end
local meta, fields, values = {}, {}, {}
for i = 1, #found[2], 2 do
  local name = found[2][i]
  if string.sub(name, 1, 1) ~= '=' then meta[name] = found[2][i + 1]
  else
    fields[#fields + 1] = ARGV[5] .. string.sub(name, 2)
    values[#values + 1] = found[2][i + 1]
  end
end
local since = redis.call('XRANGE', KEYS[2], '(' .. ARGV[4], '+', 'COUNT', '` + maxSince + `')
if #since == ` + maxSince + ` then return 'none' end
for _, e in ipairs(since) do
  for i = 1, #e[2], 2 do
    if e[2][i] == 'n' and e[2][i + 1] == meta.n then return 'none' end
  end
end
local there = {unpack(ARGV, 6)}
for _, field in ipairs(fields) do there[#there + 1] = field end
for _, field in ipairs(there) do
  if redis.call('HEXISTS', KEYS[1], field) == 1 then return 'exists' end
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', now - ARGV[2]))
if redis.call('ZCARD', KEYS[3]) >= tonumber(ARGV[3]) then return 'full' end
redis.call('ZADD', KEYS[3], string.format('%.0f', now), noteOf(meta.n))
local back = {}
for i, field in ipairs(fields) do
  back[#back + 1] = field
  back[#back + 1] = values[i]
end
local function takeBack(outcome)
  redis.call('HDEL', KEYS[1], unpack(fields))
  redis.call('ZREM', KEYS[3], noteOf(meta.n))
  return outcome
end
local hashLeft = tonumber(meta.t)
hashLeft = hashLeft and redis.call('EXISTS', KEYS[1]) == 0 and hashLeft
if type(redis.pcall('HSET', KEYS[1], unpack(back))) == 'table' then
  takeBack()
  return redis.call('HSET', KEYS[1], unpack(back)) -- says what is wrong
end
local i = 0
for left in string.gmatch(meta.e or '', '[^,]+') do
  i = i + 1
  if tonumber(left) > 0 then
    local ends = redis.pcall('HPEXPIREAT', KEYS[1], string.format('%.0f', now + left), 'FIELDS', 1, fields[i])
    if ends.err then return takeBack('forever') end
  end
end
if hashLeft then redis.call('PEXPIRE', KEYS[1], hashLeft) end
redis.call('PEXPIRE', KEYS[3], ARGV[2])
redis.call('XDEL', KEYS[2], ARGV[1])
return 'done'
`)

func (r *Registry) undoInHash(ctx context.Context, copies []Copy, indexes []int, how Undoing, ended []Undone, failed []error) {
	for len(indexes) > 0 {
		var calls []redisconn.Call
		var now, later []int
		met := make(map[string]bool)
		for _, i := range indexes {
			c := copies[i]
			if met[c.Identity] {
				later = append(later, i) // what becomes of the first decides on it
				continue
			}
			met[c.Identity] = true
			now = append(now, i)
			calls = append(calls, redisconn.Call{
				Keys: r.withAside(r.o.Key),
				Args: hashUndoArgs(c, how),
			})
		}
		r.readUndone(r.conn.EvalWrite(ctx, hashUndoScript, calls), copies, now, ended, failed)
		indexes = later
	}
}

// hashUndoArgs are the arguments of [hashUndoScript]. If the same undo has put the
// identity back in another layout of the shared Hash, only its own fields show that
// it is there.
func hashUndoArgs(c Copy, how Undoing) []any {
	var signs []any
	prefix, back := "", false
	for _, l := range layouts {
		l, ok := l.(hashLayout)
		if !ok {
			continue
		}
		if l.name() == c.Layout {
			prefix = l.copyPrefix(c.Identity)
		} else {
			back = back || how.Back(c.Identity, l.name())
		}
		for _, field := range l.signs(c.Identity) {
			signs = append(signs, field)
		}
	}
	args := []any{c.entry, how.Notes.Milliseconds(), maxNotes, c.newest, prefix}
	if back {
		return args
	}
	return append(args, signs...)
}
