package buffer

import (
	"context"
	"fmt"
)

// Bounds of one call that removes sessions, so that it stays short.
const (
	expireEntries = 64
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
// the server compares. It reports for each whether it was removed. After an
// error those behind it were not tried.
func (b *Buffer) Expire(ctx context.Context, sessions []Session) ([]bool, error) {
	removed := make([]bool, len(sessions))
	byLayout := make(map[Layout][]int)
	for i, s := range sessions {
		byLayout[s.Layout] = append(byLayout[s.Layout], i)
	}
	for layout, indexes := range byLayout {
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
	var script script
	calls := []scriptCall{{key: b.names.Sessions}}
	switch layout {
	case LayoutObject:
		script = expireObjectsScript
		for _, i := range indexes {
			calls[0].args = append(calls[0].args, sessions[i].Identity, sessions[i].value)
		}
	case LayoutFields:
		script = expireFieldsScript
		for _, i := range indexes {
			s := sessions[i]
			calls[0].args = append(calls[0].args, s.Identity, s.updated.arg(), s.altTime.arg())
		}
	default:
		script = expireKeyScript
		calls = calls[:0]
		for _, i := range indexes {
			s := sessions[i]
			calls = append(calls, scriptCall{b.names.SessionPrefix() + s.Identity, []any{s.updated.arg(), s.altTime.arg()}})
		}
	}
	var failed error
	next := indexes
	for _, cmd := range b.evalWrite(ctx, script, calls) {
		done, err := cmd.Text()
		if err != nil {
			failed = fmt.Errorf("removing sessions of the %s layout: %w", layout, err)
			next = next[1:]
			continue
		}
		for _, c := range done {
			removed[next[0]] = c == '1'
			next = next[1:]
		}
	}
	return failed
}

// SessionsExist reports whether one of the sessions is in the registry, in
// whatever state.
func (b *Buffer) SessionsExist(ctx context.Context, sessions []Session) (bool, error) {
	pipe := b.rdb.Pipeline()
	found := make([]func() bool, len(sessions))
	for i, s := range sessions {
		switch s.Layout {
		case LayoutObject:
			cmd := pipe.HExists(ctx, b.names.Sessions, s.Identity)
			found[i] = cmd.Val
		case LayoutFields:
			cmd := pipe.HExists(ctx, b.names.Sessions, s.Identity+":"+fieldStream)
			found[i] = cmd.Val
		default:
			cmd := pipe.Exists(ctx, b.names.SessionPrefix()+s.Identity)
			found[i] = func() bool { return cmd.Val() > 0 }
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return false, fmt.Errorf("looking for %d sessions once more: %w", len(sessions), err)
	}
	for _, f := range found {
		if f() {
			return true, nil
		}
	}
	return false, nil
}
