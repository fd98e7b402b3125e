package registry

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// This file keeps copies of sessions that expire, so that they can be put back.
// A copy lies in the slot of what it copies, so that one script removes the one
// and keeps the other: the key of a session is renamed, and what shares a Hash
// gets an entry of a Stream. Beside it lies the note that a session was put back.

// Names of our own keys after the state prefix, before the name of what is copied.
const (
	// StateCopies begins the keys of copies.
	StateCopies = "undo:"
	// StatePutBack begins the keys of notes that a session was put back.
	StatePutBack = "undone:"
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
	// Bytes are those of the copy at a key of its own.
	Bytes int64
}

// aside are the keys beside one of the producers': of its copy, and of the note
// that it was put back. It reports false where a script cannot reach them, as in a
// cluster whose state prefix has braces of its own.
func (r *Registry) aside(key string) (copied, note string, ok bool) {
	tag := redisconn.TagOf(key)
	suffix := "{" + tag + "}"
	if tag != key {
		suffix += key
	}
	copied, note = r.o.State+StateCopies+suffix, r.o.State+StatePutBack+suffix
	return copied, note, r.conn.Together(key, copied) && r.conn.Together(key, note)
}

// copiedKey is what [Registry.aside] made the key of a copy of.
func (r *Registry) copiedKey(copied string) (key string, ok bool) {
	rest, ok := strings.CutPrefix(copied, r.o.State+StateCopies+"{")
	tag, key, closed := strings.Cut(rest, "}")
	if key == "" {
		key = tag
	}
	return key, ok && closed
}

// withAside are the keys of a call about one of the producers' keys.
func (r *Registry) withAside(key string) []string {
	if copied, note, ok := r.aside(key); ok {
		return []string{key, copied, note}
	}
	return []string{key}
}

// expiringArgs are what the scripts that remove know of [Expiring]. Of fields that
// may expire by themselves they ask when.
func (e Expiring) args(ttl bool) []any {
	asks := ""
	if ttl {
		asks = "1"
	}
	return []any{e.After.Milliseconds(), e.Keep.Milliseconds(), e.Bytes, asks}
}

// nowLua is the server's time in ms.
const nowLua = `
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
`

// noteLua is the member of the set of notes that stands for an identity.
const noteLua = `
local function noteOf(identity)
  if #identity > 256 then return 'sha1:' .. redis.sha1hex(identity) end
  return identity
end
`

// noteOf is the same.
func noteOf(identity string) string {
	if len(identity) <= 256 {
		return identity
	}
	sum := sha1.Sum([]byte(identity))
	return "sha1:" + hex.EncodeToString(sum[:])
}

// sizeLua is about how much memory an entry of the copies takes, given its fields
// and values.
const sizeLua = `
local function sizeOf(entry)
  local n = 64
  for _, text in ipairs(entry) do n = n + #text end
  return n
end
`

// hashCopyLua removes sessions from the shared Hash and keeps copies. The order
// matters where Redis has no memory left: it lets a script that has begun to remove
// add something, and a copy that fails keeps nothing from being removed.
//
// KEYS[1] the Hash, KEYS[2] the copies, KEYS[3] the notes, the latter two if they
// can be reached; ARGV as of Expiring.args
// putBack(identity) is whether a session stays because it was put back;
// remove(identity, layout, fields, pairs) removes fields, whose names and values as
// they stand in a copy are the pairs, and returns 1, or 3 without a copy;
// finish() bounds the copies.
const hashCopyLua = nowLua + noteLua + sizeLua + `
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
  if keep <= 0 then return '3' end
  if not total then count() end
  local entry = {'n', identity, 'l', layout, 'e', ends, 'b', ''}
  if hashLeft > 0 then entry[9], entry[10] = 't', string.format('%.0f', hashLeft) end
  for i = 1, #pairs do entry[#entry + 1] = pairs[i] end
  local size = sizeOf(entry) + 12
  if keep <= 0 or size > most then return '3' end
  entry[8] = string.format('%.0f', total + size)
  local id = redis.pcall('XADD', KEYS[2], '*', unpack(entry))
  if id.err then return '3' end
  total, used, added = total + size, used + size, true
  return '1'
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

// PutBack says for each session when it was put back, zero if it was not, or too
// long ago to matter.
func (r *Registry) PutBack(ctx context.Context, sessions []Session) ([]time.Time, error) {
	at := make([]time.Time, len(sessions))
	var shared, own []int
	for i, s := range sessions {
		if s.HasOwnKey() {
			own = append(own, i)
		} else {
			shared = append(shared, i)
		}
	}
	if err := r.putBackInHash(ctx, sessions, shared, at); err != nil {
		return nil, err
	}
	for part := range slices.Chunk(own, existBatch) {
		if err := r.putBackAtKeys(ctx, sessions, part, at); err != nil {
			return nil, err
		}
	}
	return at, nil
}

func (r *Registry) putBackInHash(ctx context.Context, sessions []Session, indexes []int, at []time.Time) error {
	_, key, ok := r.aside(r.o.Key)
	if !ok || len(indexes) == 0 {
		return nil
	}
	notes := make([]string, len(indexes))
	for k, i := range indexes {
		notes[k] = noteOf(sessions[i].Identity)
	}
	// A member that is not there has score 0.
	scores, err := r.conn.Client().ZMScore(ctx, key, notes...).Result()
	if isWrongType(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("asking which sessions were put back: %w", err)
	}
	for k, i := range indexes {
		if scores[k] > 0 {
			at[i] = time.UnixMilli(int64(scores[k])).UTC()
		}
	}
	return nil
}

func (r *Registry) putBackAtKeys(ctx context.Context, sessions []Session, indexes []int, at []time.Time) error {
	pipe := r.conn.Client().Pipeline()
	cmds := make([]*redis.SliceCmd, len(indexes))
	for k, i := range indexes {
		if _, key, ok := r.aside(r.key(sessions[i].Layout, sessions[i].Identity)); ok {
			// Unlike GET, MGET takes a key of another type for none.
			cmds[k] = pipe.MGet(ctx, key)
		}
	}
	if pipe.Len() == 0 {
		return nil
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("asking which sessions were put back: %w", err)
	}
	for k, i := range indexes {
		if cmds[k] == nil {
			continue
		}
		if text, ok := cmds[k].Val()[0].(string); ok {
			at[i] = msTime(text)
		}
	}
	return nil
}

// msTime reads a time in ms; zero if it is none.
func msTime(text string) time.Time {
	ms := number(text)
	if ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// number reads a whole number; 0 if it is none.
func number(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}
