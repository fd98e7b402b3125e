package buffer

import (
	"context"
	"fmt"
	"slices"
)

// Bounds of one call that removes sessions: it then takes a tenth of
// [DefaultMaxStall].
const (
	expireEntries = 32
	expireBytes   = 128 << 10
)

// expireObjectsScript removes entries of the object layout whose value is
// still the one that was judged.
//
// KEYS[1] the Hash; ARGV identity, value, identity, value, …
// returns a string with 1 or 0 for each
var expireObjectsScript = newScript(`
local done = {}
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    redis.call('HDEL', KEYS[1], ARGV[i])
    done[#done + 1] = '1'
  else
    done[#done + 1] = '0'
  end
end
return table.concat(done)
`)

// expireFieldsScript removes all properties of sessions of the fields layout
// whose time is still the one that was judged.
//
// KEYS[1] the Hash; ARGV identity, lastUpdated, updated, … where a time is
// "=" and its text, or empty for none
// returns a string with 1 or 0 for each
var expireFieldsScript = newScript(`
local done = {}
local function now(field)
  local v = redis.call('HGET', KEYS[1], field)
  return v and '=' .. v or ''
end
for i = 1, #ARGV, 3 do
  local id = ARGV[i] .. ':'
  if now(id .. 'lastUpdated') == ARGV[i + 1] and now(id .. 'updated') == ARGV[i + 2] then
    redis.call('HDEL', KEYS[1], id .. 'lastUpdated', id .. 'updated', id .. 'streamName', id .. 'streamSessionId',
      id .. 'json', id .. 'streamPosition', id .. 'tStart', id .. 'tEnd')
    done[#done + 1] = '1'
  else
    done[#done + 1] = '0'
  end
end
return table.concat(done)
`)

// expireKeyScript removes the key of one session if its time is still the one
// that was judged.
//
// KEYS[1] the key; ARGV lastUpdated, updated as in expireFieldsScript
// returns "1" or "0"
var expireKeyScript = newScript(`
local t = redis.call('HMGET', KEYS[1], 'lastUpdated', 'updated')
local function now(v) return v and '=' .. v or '' end
if now(t[1]) == ARGV[1] and now(t[2]) == ARGV[2] then
  return tostring(redis.call('UNLINK', KEYS[1]))
end
return '0'
`)

// Expire removes sessions, each only if it was not updated since it was read:
// the server compares. It reports for each whether it was removed; after an
// error, not all were tried.
func (b *Buffer) Expire(ctx context.Context, sessions []Session) ([]bool, error) {
	removed := make([]bool, len(sessions))
	byLayout := make(map[Layout][]int)
	for i, s := range sessions {
		byLayout[s.Layout] = append(byLayout[s.Layout], i)
	}
	for _, layout := range AllLayouts {
		indexes := byLayout[layout]
		for len(indexes) > 0 {
			n := expireChunk(sessions, indexes)
			if err := b.expireSome(ctx, layout, sessions, indexes[:n], removed); err != nil {
				return removed, err
			}
			indexes = indexes[n:]
		}
	}
	return removed, nil
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

func (b *Buffer) expireSome(ctx context.Context, layout Layout, sessions []Session, indexes []int, removed []bool) error {
	var err error
	switch layout {
	case LayoutObject:
		var args []any
		for _, i := range indexes {
			args = append(args, sessions[i].Identity, sessions[i].value)
		}
		err = b.expireInHash(ctx, expireObjectsScript, args, indexes, removed)
	case LayoutFields:
		var args []any
		for _, i := range indexes {
			s := sessions[i]
			args = append(args, s.Identity, s.updated.arg(), s.altTime.arg())
		}
		err = b.expireInHash(ctx, expireFieldsScript, args, indexes, removed)
	default:
		err = b.expireKeys(ctx, sessions, indexes, removed)
	}
	if err != nil {
		return fmt.Errorf("removing sessions of the %s layout: %w", layout, err)
	}
	return nil
}

// expireInHash removes entries of the one Hash in one call.
func (b *Buffer) expireInHash(ctx context.Context, s script, args []any, indexes []int, removed []bool) error {
	done, err := b.evalWrite(ctx, s, []scriptCall{{key: b.names.Sessions, args: args}})[0].Text()
	for k := range min(len(done), len(indexes)) {
		removed[indexes[k]] = done[k] == '1'
	}
	return err
}

// expireKeys removes keys that hold a session each, in one pipeline.
func (b *Buffer) expireKeys(ctx context.Context, sessions []Session, indexes []int, removed []bool) error {
	calls := make([]scriptCall, len(indexes))
	for k, i := range indexes {
		s := sessions[i]
		calls[k] = scriptCall{key: b.names.SessionPrefix() + s.Identity, args: []any{s.updated.arg(), s.altTime.arg()}}
	}
	var failed error
	for k, cmd := range b.evalWrite(ctx, expireKeyScript, calls) {
		done, err := cmd.Text()
		removed[indexes[k]] = done == "1"
		// A key of another type has taken the session's place: not ours.
		if err != nil && ClassOf(err) != ClassWrongType {
			failed = err
		}
	}
	return failed
}

// existBatch is how many sessions are looked for in one pipeline.
const existBatch = 500

// SessionsExist reports whether one of the sessions is in the registry, in
// whatever state.
func (b *Buffer) SessionsExist(ctx context.Context, sessions []Session) (bool, error) {
	for part := range slices.Chunk(sessions, existBatch) {
		found, err := b.someExist(ctx, part)
		if found || err != nil {
			return found, err
		}
	}
	return false, nil
}

func (b *Buffer) someExist(ctx context.Context, sessions []Session) (bool, error) {
	pipe := b.rdb.Pipeline()
	found := make([]func() bool, len(sessions))
	for i, s := range sessions {
		switch s.Layout {
		case LayoutObject:
			found[i] = pipe.HExists(ctx, b.names.Sessions, s.Identity).Val
		case LayoutFields:
			found[i] = pipe.HExists(ctx, b.names.Sessions, s.Identity+":"+fieldStream).Val
		default:
			cmd := pipe.Exists(ctx, b.names.SessionPrefix()+s.Identity)
			found[i] = func() bool { return cmd.Val() > 0 }
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return false, fmt.Errorf("looking for %d sessions once more: %w", len(sessions), err)
	}
	return slices.ContainsFunc(found, func(f func() bool) bool { return f() }), nil
}
