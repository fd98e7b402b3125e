package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/escape"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// This file puts sessions back from their copies.

// Copy is what is kept of a session that has expired.
type Copy struct {
	Identity string
	Layout   Layout
	// Stream is the name of the stream that carried it, if HasStream.
	Stream    string
	HasStream bool
	// Expired is when it was removed.
	Expired time.Time
	// Left is the time to live that was left then; 0 if it had none.
	Left time.Duration

	// entry is that of the copies of the shared Hash, newest the id of the newest one
	// when the copy was found.
	entry, newest string
	// key is that of the copy of a key, meta what [copyField] holds there, and bytes its
	// size.
	key, meta string
	bytes     int64
}

// Undoing says how sessions are put back.
type Undoing struct {
	// Notes is for how long it is noted that a session was put back.
	Notes time.Duration
	// Back reports whether the same undo has put an identity back in a layout before:
	// that is not somebody's who has written it since. Nil for no.
	Back func(identity string, l Layout) bool
}

// maxSince is how many sessions may expire between the look at the copies and the
// return of one: another copy of it may be among them.
const maxSince = "500"

// maxNotes is how many sessions of the shared Hash may be noted as put back.
const maxNotes = 100_000

// Undone is what became of a session that was to be put back.
type Undone int

// What became of it.
const (
	// NoCopy: the copy is not there any more.
	NoCopy Undone = iota
	// IsBack: the session is as it was.
	IsBack
	// Exists: somebody has written the session since.
	Exists
)

// Errors of a session that stays a copy.
var (
	// ErrTooManyNotes means that its return cannot be noted.
	ErrTooManyNotes = errors.New("too many sessions are noted as put back: end some with undo --drop")
	// ErrBackForever means that its time to live cannot be given back.
	ErrBackForever = errors.New("its time to live cannot be given back: the Redis user needs +hpexpireat")
)

// keyUndoScript puts the key of one session back, with the times to live that it
// and its fields had left, and notes so. What fails on the way is taken back. Its
// first write makes Redis carry out the others even at maxmemory.
//
// KEYS[1] the key, KEYS[2] its copy, KEYS[3] the note; ARGV for how many ms to
// keep that
// returns none, exists, lasting or done
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
    return 'lasting'
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

// hashUndoScript puts the fields of one session back, and notes so. Where the whole
// Hash has gone, it has the time to live that was left. What fails on the way is
// taken back. Its first write makes Redis carry out the others even at
// maxmemory.
//
// KEYS[1] the Hash, KEYS[2] the copies, KEYS[3] the notes; ARGV id of the copy's
// entry, for how many ms to keep the note, how many there may be, and the id of the
// newest entry when it was found to be the newest copy of its session, and 1 if it
// may be there in another layout
// returns none, exists, full, lasting or done
var hashUndoScript = redisconn.NewScript(nowLua + noteLua + `
local found = redis.call('XRANGE', KEYS[2], ARGV[1], ARGV[1])[1]
if not found then return 'none' end
local meta, fields, values = {}, {}, {}
for i = 1, #found[2], 2 do
  local name = found[2][i]
  if string.sub(name, 1, 1) ~= '=' then meta[name] = found[2][i + 1]
  else
    fields[#fields + 1] = meta.l == 'fields' and meta.n .. ':' .. string.sub(name, 2) or meta.n
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
local there = {meta.n}
for _, name in ipairs({'streamName', 'lastUpdated', 'updated', 'streamSessionId', 'streamPosition', 'tStart', 'tEnd', 'json'}) do there[#there + 1] = meta.n .. ':' .. name end
if ARGV[5] == '1' then there = {} end
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
    if ends.err then return takeBack('lasting') end
  end
end
if hashLeft then redis.call('PEXPIRE', KEYS[1], hashLeft) end
redis.call('PEXPIRE', KEYS[3], ARGV[2])
redis.call('XDEL', KEYS[2], ARGV[1])
return 'done'
`)

// undoBatch is how many copies are put back in one pipeline.
const undoBatch = 100

// Undo puts sessions back, each only if its identity is not there in any layout. It
// says for each what became of it, or why that failed; the last error says that
// not all were tried.
func (r *Registry) Undo(ctx context.Context, copies []Copy, how Undoing) ([]Undone, []error, error) {
	ended, failed := make([]Undone, len(copies)), make([]error, len(copies))
	how.Back = backWith(copies, ended, how.Back)
	for part := range slices.Chunk(indexesOf(copies), undoBatch) {
		there, err := r.thereInAnotherLayout(ctx, copies, part, how)
		if err != nil {
			return ended, failed, err
		}
		var own, shared []int
		for k, i := range part {
			switch {
			case there[k]:
				ended[i] = Exists
			case copies[i].Layout.HasOwnKey():
				own = append(own, i)
			default:
				shared = append(shared, i)
			}
		}
		r.undoAtKeys(ctx, copies, own, how, ended, failed)
		r.undoInHash(ctx, copies, shared, how, ended, failed)
		for _, i := range part {
			if redisconn.IsLost(failed[i]) {
				return ended, failed, failed[i]
			}
		}
	}
	return ended, failed, nil
}

// backWith is back, and what was put back of copies so far.
func backWith(copies []Copy, ended []Undone, back func(string, Layout) bool) func(string, Layout) bool {
	type place struct {
		identity string
		layout   Layout
	}
	at := make(map[place]int, len(copies))
	for i, c := range copies {
		at[place{c.Identity, c.Layout}] = i
	}
	return func(identity string, l Layout) bool {
		i, known := at[place{identity, l}]
		return known && ended[i] == IsBack || back != nil && back(identity, l)
	}
}

func indexesOf[T any](all []T) []int {
	indexes := make([]int, len(all))
	for i := range indexes {
		indexes[i] = i
	}
	return indexes
}

func (r *Registry) undoAtKeys(ctx context.Context, copies []Copy, indexes []int, how Undoing, ended []Undone, failed []error) {
	var calls []redisconn.Call
	for _, i := range indexes {
		calls = append(calls, redisconn.Call{Keys: r.withAside(r.prefix() + copies[i].Identity), Args: []any{how.Notes.Milliseconds()}})
	}
	r.readUndone(r.conn.EvalWrite(ctx, keyUndoScript, calls), copies, indexes, ended, failed)
}

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
				Args: []any{c.entry, how.Notes.Milliseconds(), maxNotes, c.newest, backInHash(c, how)},
			})
		}
		r.readUndone(r.conn.EvalWrite(ctx, hashUndoScript, calls), copies, now, ended, failed)
		indexes = later
	}
}

// backInHash is 1 if the same undo has put the identity of a copy back in another
// layout of the shared Hash.
func backInHash(c Copy, how Undoing) int {
	for _, l := range layouts {
		if !l.name().HasOwnKey() && l.name() != c.Layout && how.Back(c.Identity, l.name()) {
			return 1
		}
	}
	return 0
}

func (r *Registry) readUndone(cmds []*redis.Cmd, copies []Copy, indexes []int, ended []Undone, failed []error) {
	for k, i := range indexes {
		done, err := cmds[k].Text()
		switch {
		case err != nil:
		case done == "none":
		case done == "exists":
			ended[i] = Exists
		case done == "done":
			ended[i] = IsBack
		case done == "full":
			err = ErrTooManyNotes
		case done == "lasting":
			err = ErrBackForever
		default:
			err = fmt.Errorf("%w: outcome %q", redisconn.ErrIncomplete, done)
		}
		if err != nil {
			failed[i] = fmt.Errorf("putting session %s back: %w", escape.Quote(copies[i].Identity), err)
		}
	}
}

// thereInAnotherLayout reports for each copy whether its identity is in the
// registry, in another layout than its own, which the script looks at, and than
// those in which the same undo has put it back.
func (r *Registry) thereInAnotherLayout(ctx context.Context, copies []Copy, indexes []int, how Undoing) ([]bool, error) {
	pipe := r.conn.Client().Pipeline()
	found := make([][]func() bool, len(indexes))
	for k, i := range indexes {
		for _, l := range layouts {
			if r.looksFor(l) && l.name() != copies[i].Layout && !how.Back(copies[i].Identity, l.name()) {
				found[k] = append(found[k], l.exists(ctx, pipe, r, Session{Identity: copies[i].Identity, Layout: l.name()})...)
			}
		}
	}
	there := make([]bool, len(indexes))
	if pipe.Len() == 0 {
		return there, nil
	}
	if _, err := pipe.Exec(ctx); err != nil && !isWrongType(err) {
		return nil, fmt.Errorf("looking for sessions that are to be put back: %w", err)
	}
	for k := range found {
		there[k] = slices.ContainsFunc(found[k], func(f func() bool) bool { return f() })
	}
	return there, nil
}
