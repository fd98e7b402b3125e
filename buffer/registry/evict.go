package registry

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// This file bounds what the copies of expired sessions take.

// CopyBytes is how much memory copies take, about.
type CopyBytes struct {
	// Keys are those of sessions at keys of their own, Hash those of the shared one.
	Keys, Hash int64
}

// boundHashScript lets copies go that are too old, or beyond the bound, the oldest
// first, and so many at a time. Without a bound all go.
//
// KEYS[1] the copies; ARGV for how many ms to keep them, and how many bytes
// returns how many bytes are left, and whether there is more to do
var boundHashScript = redisconn.NewScript(nowLua + sizeLua + `
local keep, most = tonumber(ARGV[1]), tonumber(ARGV[2])
if most <= 0 then
  if redis.call('TYPE', KEYS[1]).ok == 'stream' then redis.call('UNLINK', KEYS[1]) end
  return {0, 0}
end
local function total(entry)
  for i = 1, #entry, 2 do
    if entry[i] == 'b' then return tonumber(entry[i + 1]) or 0 end
  end
  return 0
end
local page = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 50)
if #page == 0 then return {0, 0} end
local used = total(redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1][2]) - total(page[1][2]) + sizeOf(page[1][2])
local old = {}
for _, e in ipairs(page) do
  if used <= most and tonumber(string.match(e[1], '^%d+')) >= now - keep then break end
  used = used - sizeOf(e[2])
  old[#old + 1] = e[1]
end
if #old > 0 then redis.call('XDEL', KEYS[1], unpack(old)) end
return {math.max(0, used), #old == #page and 1 or 0}
`)

// boundHash bounds the copies of the shared Hash.
func (r *Registry) boundHash(ctx context.Context, keep time.Duration, most int64) (int64, error) {
	key, _, ok := r.aside(r.o.Key)
	if !ok || !r.looksForAny(false) {
		return 0, nil
	}
	for {
		left, err := r.conn.EvalWrite(ctx, boundHashScript, []redisconn.Call{redisconn.OnKey(key, keep.Milliseconds(), most)})[0].Int64Slice()
		if isWrongType(err) {
			return 0, nil
		}
		if err == nil && len(left) != 2 {
			err = fmt.Errorf("%w: %d values instead of 2", redisconn.ErrIncomplete, len(left))
		}
		if err != nil {
			return 0, fmt.Errorf("bounding the copies of expired sessions: %w", err)
		}
		if left[1] == 0 {
			return left[0], nil
		}
	}
}

// forgetCopyScript lets one copy go, unless there is another by now.
//
// KEYS[1] the copy; ARGV what its copyField has to hold
var forgetCopyScript = redisconn.NewScript(`
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' or redis.call('HGET', KEYS[1], '` + copyField + `') ~= ARGV[1] then return 0 end
return redis.call('UNLINK', KEYS[1])
`)

// ages adds up bytes by their time. It coarsens as it grows.
type ages struct {
	width int64
	bytes map[int64]int64
	all   int64
}

// maxAges is how many times are told apart.
const maxAges = 20_000

func (a *ages) add(at, bytes int64) {
	if a.bytes == nil {
		a.width, a.bytes = 1, make(map[int64]int64)
	}
	a.bytes[at/a.width] += bytes
	a.all += bytes
	for len(a.bytes) > maxAges {
		coarser := make(map[int64]int64, len(a.bytes))
		for slot, n := range a.bytes {
			coarser[slot/2] += n
		}
		a.bytes, a.width = coarser, a.width*2
	}
}

// oldest is the time before which all must go so that no more than so many bytes
// are left, and how many that are.
func (a *ages) oldest(most int64) (from, left int64) {
	slots := make([]int64, 0, len(a.bytes))
	for slot := range a.bytes {
		slots = append(slots, slot)
	}
	slices.Sort(slots)
	left = a.all
	for _, slot := range slots {
		if left <= most {
			return slot * a.width, left
		}
		left -= a.bytes[slot]
		from = (slot + 1) * a.width
	}
	return from, left
}

// boundKeys bounds the copies of keys.
func (r *Registry) boundKeys(ctx context.Context, most int64) (int64, error) {
	var all ages
	err := r.walkKeyCopies(ctx, func(page []Copy) error {
		for _, c := range page {
			all.add(c.Expired.UnixMilli(), c.bytes)
		}
		return nil
	})
	if err != nil || all.all <= most {
		return all.all, err
	}
	from, left := all.oldest(most)
	err = r.walkKeyCopies(ctx, func(page []Copy) error {
		var calls []redisconn.Call
		for _, c := range page {
			if c.Expired.UnixMilli() < from {
				calls = append(calls, redisconn.OnKey(c.key, c.meta))
			}
		}
		if len(calls) == 0 {
			return nil
		}
		for _, cmd := range r.conn.EvalWrite(ctx, forgetCopyScript, calls) {
			if err := cmd.Err(); err != nil {
				return fmt.Errorf("bounding the copies of expired sessions: %w", err)
			}
		}
		return nil
	})
	return left, err
}

// BoundCopies lets copies go that are too old, or beyond a bound, the oldest first;
// a bound of 0 leaves none. Of two kinds of layouts each may have at least half.
// Looking for copies at keys of their own takes a scan of the keyspace.
func (r *Registry) BoundCopies(ctx context.Context, keep time.Duration, most int64, keys bool) (CopyBytes, error) {
	hash, err := r.boundHash(ctx, keep, most)
	left := CopyBytes{Hash: hash}
	if err != nil || !keys || !r.looksForAny(true) {
		return left, err
	}
	if left.Keys, err = r.boundKeys(ctx, most-min(hash, most/2)); err != nil {
		return left, err
	}
	if left.Keys+hash > most {
		left.Hash, err = r.boundHash(ctx, keep, most-left.Keys)
	}
	return left, err
}
