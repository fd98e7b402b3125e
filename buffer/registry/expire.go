package registry

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// Expiring says how sessions are removed.
type Expiring struct {
	// After is the limit: what was put back within it stays.
	After time.Duration
	// Keep is for how long a copy is kept; 0 keeps none.
	Keep time.Duration
	// Bytes is how many the largest copy may have, and all of those of one Hash.
	Bytes int64
}

// Expiry is what became of a session that was to be removed.
type Expiry struct {
	Removed, Copied bool
	// Unknown: no reply came, so it may have been removed nevertheless.
	Unknown bool
	// Bytes are those of the copy at a key of its own.
	Bytes int64
}

// Bounds of one call that removes sessions: it then takes about 0.1 ms.
const (
	expireEntries = 32
	expireBytes   = 128 << 10
)

// Expire removes sessions, each by its layout, and only if it was not updated since
// it was read, nor put back: the server compares. It keeps a copy of each that it
// removes, where one is wanted and can be kept. After an error, not all were tried.
func (r *Registry) Expire(ctx context.Context, sessions []Session, how Expiring) ([]Expiry, error) {
	ended := make([]Expiry, len(sessions))
	err := eachLayout(sessions, func(l layout, indexes []int) error {
		// What is foreign or malformed stays, whoever asks for it.
		indexes = slices.DeleteFunc(indexes, func(i int) bool { return sessions[i].Foreign || sessions[i].Malformed != nil })
		for len(indexes) > 0 {
			n := expireChunk(sessions, indexes)
			done, err := l.expire(ctx, r, pick(sessions, indexes[:n]), how)
			for k, i := range indexes[:n] {
				ended[i] = done[k]
			}
			if err != nil {
				return fmt.Errorf("removing sessions of the %s layout: %w", l.name(), err)
			}
			indexes = indexes[n:]
		}
		return nil
	})
	return ended, err
}

// expireChunk is how many of the sessions go into one call.
func expireChunk(sessions []Session, indexes []int) int {
	bytes := 0
	for n, i := range indexes {
		bytes += len(sessions[i].Identity) + len(sessions[i].value)
		if n > 0 && (n == expireEntries || bytes > expireBytes) {
			return n
		}
	}
	return len(indexes)
}

// expireInHash removes entries of the shared Hash in one call. A key of another
// type holds none.
func (r *Registry) expireInHash(ctx context.Context, s redisconn.Script, sessions []Session, how Expiring, args []any) (done string, err error) {
	ttl := slices.ContainsFunc(sessions, func(s Session) bool { return s.mayEnd })
	call := redisconn.Call{Keys: r.withAside(r.o.Key), Args: append(how.args(ttl), args...)}
	done, err = r.conn.EvalWrite(ctx, s, []redisconn.Call{call})[0].Text()
	if isWrongType(err) {
		return "", nil
	}
	if err == nil && len(done) != len(sessions) {
		err = fmt.Errorf("%w: %d outcomes of %d sessions", redisconn.ErrIncomplete, len(done), len(sessions))
	}
	if redisconn.Unanswered(err) {
		done = strings.Repeat(string(outcomeUnknown), len(sessions))
	}
	return done, err
}

// args are what the scripts that remove know of [Expiring]. Of fields that
// may expire by themselves they ask when.
func (e Expiring) args(ttl bool) []any {
	asks := ""
	if ttl {
		asks = "1"
	}
	return []any{e.After.Milliseconds(), e.Keep.Milliseconds(), e.Bytes, asks}
}

// What becomes of a session that a script was to remove.
const (
	// It stays: it changed, was put back, or is gone already.
	outcomeStays = '0'
	// It was removed, and a copy is kept, or none.
	outcomeCopied   = '1'
	outcomeUncopied = '3'
	// It stays until its Session JSON was looked at; see [fields].
	outcomeLook = '2'
	// No reply came.
	outcomeUnknown = '?'
)

// outcomeLua has the outcomes for the scripts.
const outcomeLua = `
local STAYS, COPIED, LOOK, UNCOPIED = '` + string(outcomeStays) + `', '` + string(outcomeCopied) + `', '` + string(outcomeLook) + `', '` + string(outcomeUncopied) + `'
`

// outcomes reads the outcomes of a call, a character for each session.
func outcomes(done string, n int) []Expiry {
	all := make([]Expiry, n)
	for i := range min(len(done), n) {
		all[i] = Expiry{
			Removed: done[i] == outcomeCopied || done[i] == outcomeUncopied, Copied: done[i] == outcomeCopied, Unknown: done[i] == outcomeUnknown,
		}
	}
	return all
}

// hashRemoveLua removes sessions from the shared Hash and keeps copies. The order
// matters where Redis has no memory left: it lets a script that has begun to remove
// add something, and a copy that fails keeps nothing from being removed.
//
// KEYS[1] the Hash, KEYS[2] the copies, KEYS[3] the notes, the latter two if they
// can be reached; ARGV as of Expiring.args
// putBack(identity) is whether a session stays because it was put back;
// remove(identity, layout, fields, pairs) removes fields, whose names and values as
// they stand in a copy are the pairs, and returns COPIED or UNCOPIED;
// finish() bounds the copies.
const hashRemoveLua = outcomeLua + nowLua + noteLua + sizeLua + `
local after, keep, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local noted = KEYS[3] and redis.pcall('EXISTS', KEYS[3]) == 1
local function putBack(identity)
  if not noted then return false end
  local at = redis.pcall('ZSCORE', KEYS[3], noteOf(identity))
  return type(at) == 'string' and now - at <= after
end
local total, used
local function bytesOf(entry)
  for i = 1, #entry, 2 do
    if entry[i] == 'b' then return tonumber(entry[i + 1]) or 0 end
  end
  return 0
end
local function count()
  total, used = 0, 0
  local last = redis.pcall('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
  if last.err then keep = 0 return end
  if not last[1] then return end
  local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1][2]
  total = bytesOf(last[1][2])
  used = total - bytesOf(first) + sizeOf(first)
end
if not KEYS[2] then keep = 0 end
local function endings(fields)
  if ARGV[4] == '' then return '' end
  local at = redis.pcall('HPEXPIRETIME', KEYS[1], 'FIELDS', #fields, unpack(fields))
  if at.err then return '' end
  local some = false
  for i, ms in ipairs(at) do
    some = some or ms > 0
    at[i] = string.format('%.0f', ms > 0 and math.max(1, ms - now) or -1)
  end
  return some and table.concat(at, ',') or ''
end
local added, hashLeft = false
local function remove(identity, layout, fields, pairs)
  local ends = keep > 0 and endings(fields)
  if keep > 0 and not hashLeft then
    hashLeft = redis.pcall('PTTL', KEYS[1])
    hashLeft = type(hashLeft) == 'number' and hashLeft or -1
  end
  redis.call('HDEL', KEYS[1], unpack(fields))
  if keep <= 0 then return UNCOPIED end
  if not total then count() end
  local entry = {'n', identity, 'l', layout, 'e', ends, 'b', ''}
  if hashLeft > 0 then entry[9], entry[10] = 't', string.format('%.0f', hashLeft) end
  for i = 1, #pairs do entry[#entry + 1] = pairs[i] end
  local size = sizeOf(entry) + 12
  if keep <= 0 or size > most then return UNCOPIED end
  entry[8] = string.format('%.0f', total + size)
  local id = redis.pcall('XADD', KEYS[2], '*', unpack(entry))
  if id.err then return UNCOPIED end
  total, used, added = total + size, used + size, true
  return COPIED
end
local function finish()
  if not added then return end
  while used > most do
    local page = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 32)
    if #page == 0 then break end
    local old = {}
    for _, e in ipairs(page) do
      if used <= most then break end
      used = used - sizeOf(e[2])
      old[#old + 1] = e[1]
    end
    redis.call('XDEL', KEYS[2], unpack(old))
  end
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
end
`

// keyRemoveLua removes the Hash of a session that has a key of its own, and keeps it
// under another name where that is wanted: what fails there keeps nothing from being
// removed. In a copy no field expires by itself; where that cannot be had, there is
// none.
//
// KEYS[1] the key, KEYS[2] its copy, KEYS[3] the note that it was put back, the
// latter two if they can be reached; ARGV as of Expiring.args
// putBack() is whether the session stays because it was put back;
// remove() returns STAYS, UNCOPIED, or COPIED and the size of the copy
const keyRemoveLua = outcomeLua + nowLua + `
local function putBack()
  local note = KEYS[3] and redis.pcall('GET', KEYS[3])
  note = type(note) == 'string' and tonumber(note)
  return note and now - note <= tonumber(ARGV[1])
end
local function size(key)
  local n = redis.pcall('MEMORY', 'USAGE', key, 'SAMPLES', 0)
  if type(n) ~= 'number' then
    n = 64 + #key
    for _, text in ipairs(redis.call('HGETALL', key)) do n = n + #text + 48 end
  end
  return n + ` + copyOverhead + `
end
local function takeEndings()
  if ARGV[4] == '' then return '' end
  local names, all = {}, redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do names[#names + 1] = all[i] end
  local at, ends = redis.pcall('HPEXPIRETIME', KEYS[1], 'FIELDS', #names, unpack(names)), {}
  if at.err then return string.find(at.err, 'nknown') and '' end
  for i, ms in ipairs(at) do
    if ms > 0 then ends[#ends + 1] = #names[i] .. ':' .. names[i] .. string.format('%.0f ', math.max(1, ms - now)) end
  end
  if #ends > 0 and redis.pcall('HPERSIST', KEYS[1], 'FIELDS', #names, unpack(names)).err then return false end
  return table.concat(ends)
end
local function keep()
  if not KEYS[2] or tonumber(ARGV[2]) <= 0 or redis.call('HLEN', KEYS[1]) > ` + maxCopyFields + ` then return end
  local most, left = tonumber(ARGV[3]), redis.call('PTTL', KEYS[1])
  if size(KEYS[1]) > most then return end
  local ends = takeEndings()
  if not ends or redis.pcall('RENAME', KEYS[1], KEYS[2]).err then return end
  local function note(bytes)
    return redis.pcall('HSET', KEYS[2], '` + copyField + `', string.format('%.0f %.0f %015.0f ', now, left, bytes) .. ends)
  end
  local new = note(0)
  local kept = redis.pcall('PEXPIRE', KEYS[2], ARGV[2])
  -- A longer name and one more field take more, and may make another encoding of it.
  local bytes = size(KEYS[2])
  if new == 1 and kept == 1 and bytes <= most and note(bytes) == 0 then return COPIED .. ' ' .. string.format('%.0f', bytes) end
  redis.call('UNLINK', KEYS[2])
  return UNCOPIED
end
local function remove()
  return keep() or (redis.call('UNLINK', KEYS[1]) == 1 and UNCOPIED or STAYS)
end
`

// existBatch is how many sessions are looked for in one pipeline.
const existBatch = 500

// SessionsExist reports whether one of the sessions is in the registry, in
// whatever state.
func (r *Registry) SessionsExist(ctx context.Context, sessions []Session) (bool, error) {
	for part := range slices.Chunk(sessions, existBatch) {
		pipe := r.conn.Client().Pipeline()
		var found []func() bool
		for _, s := range part {
			found = append(found, r.exists(ctx, pipe, s)...)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return false, fmt.Errorf("looking for %d sessions once more: %w", len(part), err)
		}
		if slices.ContainsFunc(found, func(f func() bool) bool { return f() }) {
			return true, nil
		}
	}
	return false, nil
}

// exists asks, in a pipeline, for each thing that shows that a session is there.
func (r *Registry) exists(ctx context.Context, p redis.Pipeliner, s Session) (found []func() bool) {
	if l, ok := of(s).(hashLayout); ok {
		for _, field := range l.signs(s.Identity) {
			found = append(found, p.HExists(ctx, r.o.Key, field).Val)
		}
		return found
	}
	cmd := p.Exists(ctx, r.key(s.Layout, s.Identity))
	return append(found, func() bool { return cmd.Val() > 0 })
}

// isWrongType reports whether a key holds another type than was expected.
func isWrongType(err error) bool { return redisconn.ClassOf(err) == redisconn.ClassWrongType }
