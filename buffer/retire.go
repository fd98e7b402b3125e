package buffer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// unlinkScript removes a stream that is still as it was judged: nothing was
// added to it, no consumer of a group became active, and no group came that has
// no consumer. It cuts what is large shorter first, a call at a time: UNLINK
// frees in the background, where a giant still keeps the allocator from
// everybody, and at once what has less than 64 nodes, however large these are.
//
// XINFO STREAM copies two payloads into Lua, a few milliseconds where they have
// a megabyte. Such streams are only looked at for newer entries while they are
// cut, and in full at the end, when no large entry is left.
//
// KEYS[1] stream; ARGV[1] last id, ARGV[2] ms that every consumer must have
// been idle for, ARGV[3] bytes that a call may free, ARGV[4…] groups without
// consumers that count no longer
// returns 2 if it was cut, 1 if it was removed, 0 if it changed or is gone
var unlinkScript = redisconn.NewScript(`
local key, last, most = KEYS[1], ARGV[1], tonumber(ARGV[3])
local kind = redis.call('TYPE', key)
kind = kind.ok or kind
if kind ~= 'stream' then return 0 end

local function unchanged()
  local info = redis.call('XINFO', 'STREAM', key)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return info[i + 1] == last end
  end
end
local length, bytes = redis.call('XLEN', key), redis.call('MEMORY', 'USAGE', key)
local large = length > 0 and bytes > 65536 * length
if large then
  if #redis.call('XRANGE', key, '(' .. last, '+', 'COUNT', 1) > 0 then return 0 end
elseif not unchanged() then
  return 0
end
` + groupsLua + activeLua + `
local limit = tonumber(ARGV[2])
if active >= 0 and active < limit or pending > 0 and pending < ` + strconv.Itoa(graceFactor) + ` * limit then return 0 end
local ignore = {}
for i = 4, #ARGV do ignore[ARGV[i]] = true end
for _, name in ipairs(without) do
  if not ignore[name] then return 0 end
end

if length > 0 and bytes > most / 4 then
  local cut = math.min(length, math.max(1, math.floor(length * most / bytes)))
  if redis.call('XTRIM', key, 'MAXLEN', '~', length - cut, 'LIMIT', cut) > 0 then return 2 end
end
if large and not unchanged() then return 0 end
redis.call('UNLINK', key)
return 1
`)

// How an unlinkScript ended.
const (
	unlinkRefused = iota
	unlinkDone
	unlinkCut
)

// Retirement is how an attempt to retire a stream ended.
type Retirement int

// The ends of a retirement.
const (
	// Kept: the stream changed since it was judged, and is untouched.
	Kept Retirement = iota
	// Retired: the key is gone, the name is remembered and out of the set.
	Retired
	// RetiredListed: the key is gone, but its name could not be remembered
	// and so stays in the set, for a later run.
	RetiredListed
	// CameBack: the key was removed, but a producer made it anew at once, and
	// its name is in the set.
	CameBack
	// NotKnown: no reply came, so it may have been removed; or only its oldest entries
	// were. The error says which.
	NotKnown
)

// ErrPartly is of a large stream that changed while it was removed.
var ErrPartly = errors.New("changed while it was removed: its oldest entries are gone")

// Retire removes a dead stream, and then its name, in an order that can be
// broken off anywhere: remember the name, remove the key if its last id is
// still lastID and no group counts by its GroupLimits, take the name from the set,
// look whether the key has returned, and put the name back if so.
// A large stream goes in slices, oldest entries first; if it changes meanwhile,
// the rest of it stays.
func (b *Buffer) Retire(ctx context.Context, stream string, lastID ID, groups GroupLimits) (Retirement, error) {
	remembered, err := b.remember(ctx, stream, isRetired)
	if err != nil {
		return Kept, err
	}
	end, err := b.unlink(ctx, stream, lastID, groups)
	switch {
	case err != nil:
		return end, fmt.Errorf("removing stream %s: %w", Quote(stream), err)
	case end == NotKnown:
		return end, errors.Join(fmt.Errorf("stream %s: %w", Quote(stream), ErrPartly), b.takeBack(ctx, stream, remembered))
	case end == Kept:
		return end, b.takeBack(ctx, stream, remembered)
	case remembered == nil:
		return RetiredListed, nil
	}
	return b.unlist(ctx, stream)
}

// unlink removes the key of a dead stream, unless it is not as it was judged any more.
func (b *Buffer) unlink(ctx context.Context, stream string, lastID ID, groups GroupLimits) (Retirement, error) {
	call := redisconn.OnKey(b.names.StreamKey(stream), lastID.String(), groups.IdleAfter.Milliseconds(), b.sliceBytes())
	for _, name := range groups.Ignore {
		call.Args = append(call.Args, name)
	}
	for kept := Kept; ; kept = NotKnown {
		end, err := b.conn.EvalWrite(ctx, unlinkScript, []redisconn.Call{call})[0].Int()
		switch {
		case redisconn.Unanswered(err):
			return NotKnown, err
		case err != nil || end == unlinkRefused:
			return kept, err
		case end == unlinkDone:
			return Retired, nil
		}
	}
}

// What one call that removes a stream frees, for each millisecond that it may
// block Redis, and its bounds.
const (
	sliceBytes = 512 << 10
	minSlice   = 32 << 10
	maxSlice   = 8 << 20
)

func (b *Buffer) sliceBytes() int64 {
	return min(maxSlice, max(minSlice, int64(b.maxStall.Seconds()*1000*sliceBytes)))
}

// DropName takes the name of a stream that has no key from the set; the name
// is remembered like a retired stream's, and stays where it cannot be.
func (b *Buffer) DropName(ctx context.Context, stream string) (Retirement, error) {
	remembered, err := b.remember(ctx, stream, isDropped)
	if err != nil || remembered == nil {
		return Kept, err
	}
	kind, err := b.keyType(ctx, stream)
	if err != nil {
		return Kept, err
	}
	if kind != "none" {
		return Kept, b.takeBack(ctx, stream, remembered)
	}
	end, err := b.unlist(ctx, stream)
	if end == RetiredListed && redisconn.Unanswered(err) {
		end = NotKnown
	}
	return end, err
}

// unlist is the second half of a retirement. The set and the stream are two
// keys, in a cluster on two nodes, so the key is looked for after the name has
// gone: whoever comes second sees the other.
func (b *Buffer) unlist(ctx context.Context, stream string) (Retirement, error) {
	if err := b.rdb.SRem(ctx, b.names.Streams, stream).Err(); err != nil {
		return RetiredListed, fmt.Errorf("taking the name of stream %s from %q: %w", Quote(stream), b.names.Streams, err)
	}
	kind, err := b.keyType(ctx, stream)
	if err != nil || kind != "stream" {
		// On an error the name is remembered: a later run restores it.
		return Retired, err
	}
	if err := b.Restore(ctx, stream); err != nil {
		return Retired, err // its name is remembered too
	}
	return CameBack, nil
}

func (b *Buffer) keyType(ctx context.Context, stream string) (string, error) {
	kind, err := b.rdb.Type(ctx, b.names.StreamKey(stream)).Result()
	if err != nil {
		return "", fmt.Errorf("looking for stream %s: %w", Quote(stream), err)
	}
	return kind, nil
}

// Restore puts the name of a stream that has come back into the set. That it
// was retired stays noted, from now on: a connection that broke may deliver
// its SREM late, and only the note tells that the name is missing.
func (b *Buffer) Restore(ctx context.Context, stream string) error {
	// Asked for first: once the name is listed, another instance may retire the
	// stream anew.
	retired, err := b.scores(ctx, stateRetired, []string{stream})
	if err != nil {
		return err
	}
	if err := b.rdb.SAdd(ctx, b.names.Streams, stream).Err(); err != nil {
		return fmt.Errorf("putting the name of stream %s back into %q: %w", Quote(stream), b.names.Streams, err)
	}
	if retired[0].IsZero() {
		return nil
	}
	_, err = b.remember(ctx, stream, isRestored)
	return err
}

// Return is a stream that was retired and has a key again.
type Return struct {
	Stream string
	// Noted is when it was retired or restored, by Redis's clock.
	Noted time.Time
}

// Forget forgets that a stream was retired, unless that was noted anew.
func (b *Buffer) Forget(ctx context.Context, r Return) error { return b.forget(ctx, r.Stream, r.Noted) }

// Unlisted is what the key of a name holds that is not in the set of streams.
type Unlisted struct {
	// Type is the key's type, "none" where there is no key.
	Type string
	// Message reports that the newest entry of a stream has the fields of a
	// message.
	Message bool
}

// unlistedScript looks whether a stream is one of messages.
//
// KEYS[1] stream
// returns {type, 1 if the newest entry has the fields "id" and "data"}
var unlistedScript = redisconn.NewScript(`
local kind = redis.call('TYPE', KEYS[1])
kind = kind.ok or kind
if kind ~= 'stream' then return {kind, 0} end
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local id, data = false, false
if newest then
  for i = 1, #newest[2], 2 do
    id, data = id or newest[2][i] == 'id', data or newest[2][i] == 'data'
  end
end
return {kind, id and data and 1 or 0}
`)

// Restorable says of each name what its key holds; a key that cannot be asked
// has no type.
func (b *Buffer) Restorable(ctx context.Context, names []string) ([]Unlisted, error) {
	all := make([]Unlisted, 0, len(names))
	for part := range slices.Chunk(names, infoBatch) {
		calls := make([]redisconn.Call, len(part))
		for i, name := range part {
			calls[i] = redisconn.OnKey(b.names.StreamKey(name))
		}
		for i, cmd := range b.conn.EvalRead(ctx, unlistedScript, calls) {
			reply, err := cmd.Slice()
			if redisconn.IsLost(err) {
				return all, fmt.Errorf("looking at the unlisted stream %s: %w", Quote(part[i]), err)
			}
			var u Unlisted
			if err == nil && len(reply) == 2 {
				u.Type, _ = reply[0].(string)
				u.Message = reply[1] == int64(1)
			}
			all = append(all, u)
		}
	}
	return all, nil
}

// Returned gives, a page at a time, the remembered streams that have a key
// again.
func (b *Buffer) Returned(ctx context.Context, visit func([]Return) error) error {
	return b.walkState(ctx, stateRetired, func(members []member) error {
		pipe := b.rdb.Pipeline()
		cmds := make([]*redis.StatusCmd, len(members))
		for i, m := range members {
			cmds[i] = pipe.Type(ctx, b.names.StreamKey(m.name))
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("looking for retired streams that came back: %w", err)
		}
		var back []Return
		for i, m := range members {
			if cmds[i].Val() == "stream" && b.Owns(m.name) {
				back = append(back, Return{m.name, m.at})
			}
		}
		if len(back) == 0 {
			return nil
		}
		return visit(back)
	})
}
