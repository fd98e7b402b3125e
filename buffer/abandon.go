package buffer

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// MaxSessionJSON is the length in bytes past which a Session JSON is not read:
// what is longer is no description of a session.
const MaxSessionJSON = 256 << 10

// jsonBatch is how many of them are read in one pipeline.
const jsonBatch = 64

// jsonScript reads the Session JSON of a session of the keys or fields layout
// whose time is still the one that was read.
//
// KEYS[1] the Hash; ARGV what goes before a property's name, lastUpdated,
// updated as in expireFieldsScript, most bytes
// returns it, or "" if there is none, if it is too long, or if the time is another
var jsonScript = newScript(`
local v = redis.call('HMGET', KEYS[1], ARGV[1] .. 'lastUpdated', ARGV[1] .. 'updated', ARGV[1] .. 'json')
local function now(v) return v and '=' .. v or '' end
if now(v[1]) ~= ARGV[2] or now(v[2]) ~= ARGV[3] or not v[3] or #v[3] > tonumber(ARGV[4]) then return '' end
return v[3]
`)

// SessionJSONs gives the Session JSON of each session; "" where there is none,
// where it is too long, and where the session is no longer as it was read.
func (b *Buffer) SessionJSONs(ctx context.Context, sessions []Session) ([]string, error) {
	jsons := make([]string, len(sessions))
	var elsewhere []int
	for i, s := range sessions {
		if s.Layout != LayoutObject {
			elsewhere = append(elsewhere, i)
		} else if json := entryJSON(s.value); len(json) <= MaxSessionJSON {
			jsons[i] = json
		}
	}
	for part := range slices.Chunk(elsewhere, jsonBatch) {
		calls := make([]scriptCall, len(part))
		for k, i := range part {
			s := sessions[i]
			calls[k].key, calls[k].args = b.propertiesOf(s)
			calls[k].args = append(calls[k].args, s.updated.arg(), s.altTime.arg(), MaxSessionJSON)
		}
		for k, cmd := range b.evalRead(ctx, jsonScript, calls) {
			json, err := cmd.Text()
			if err != nil && ClassOf(err) != ClassWrongType {
				return nil, fmt.Errorf("reading the Session JSON of %s: %w", Quote(sessions[part[k]].Identity), err)
			}
			jsons[part[k]] = json
		}
	}
	return jsons, nil
}

// propertiesOf is the Hash in which the properties of a session of the keys or
// fields layout lie, and what goes before their names there.
func (b *Buffer) propertiesOf(s Session) (key string, prefix []any) {
	if s.Layout == LayoutFields {
		return b.names.Sessions, []any{s.Identity + ":"}
	}
	return b.names.SessionPrefix() + s.Identity, []any{""}
}

// setLua sets a field of KEYS[1], and leaves it the time at which it expires
// by itself. Servers before 7.4 know no such time.
const setLua = `
local function set(field, value)
  local at = redis.pcall('HPEXPIRETIME', KEYS[1], 'FIELDS', 1, field)
  if at.err then
    if not string.find(at.err, 'nknown') then return at end
    at = {-1}
  end
  redis.call('HSET', KEYS[1], field, value)
  if at[1] > 0 then redis.call('HPEXPIREAT', KEYS[1], at[1], 'FIELDS', 1, field) end
  return 1
end
`

// setObjectScript sets an entry of the object layout that still has the value
// that was judged.
//
// KEYS[1] the Hash; ARGV identity, value, new value or none for a look only
// returns 1 if the entry has that value, else 0
var setObjectScript = newScript(setLua + `
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
if not ARGV[3] then return 1 end
return set(ARGV[1], ARGV[3])
`)

// setJSONScript sets the Session JSON of a session of the keys or fields layout
// whose time and Session JSON are still those that were judged.
//
// KEYS[1] the Hash; ARGV what goes before a property's name, lastUpdated,
// updated as in expireFieldsScript, Session JSON, new one or none for a look only
// returns 1 if all is as it was, else 0
var setJSONScript = newScript(setLua + `
local v = redis.call('HMGET', KEYS[1], ARGV[1] .. 'lastUpdated', ARGV[1] .. 'updated', ARGV[1] .. 'json')
local function now(v) return v and '=' .. v or '' end
if now(v[1]) ~= ARGV[2] or now(v[2]) ~= ARGV[3] or v[3] ~= ARGV[4] then return 0 end
if not ARGV[5] then return 1 end
return set(ARGV[1] .. 'json', ARGV[5])
`)

// HoldsJSON reports whether a session is still as it was read, with that
// Session JSON.
func (b *Buffer) HoldsJSON(ctx context.Context, s Session, json string) (bool, error) {
	return b.compareJSON(ctx, s, json)
}

// SetJSON gives a session another Session JSON if it is still as it was read:
// the server compares. All else of the session stays, TTLs too. It reports
// whether it did.
func (b *Buffer) SetJSON(ctx context.Context, s Session, old, updated string) (bool, error) {
	if s.Layout != LayoutObject {
		return b.compareJSON(ctx, s, old, updated)
	}
	value, ok := spliceJSON(s.value, old, updated)
	if !ok {
		return false, nil
	}
	return b.compareJSON(ctx, s, old, value)
}

// compareJSON compares, and then sets what is given.
func (b *Buffer) compareJSON(ctx context.Context, s Session, old string, set ...any) (bool, error) {
	var call scriptCall
	script := setJSONScript
	if s.Layout == LayoutObject {
		script, call = setObjectScript, scriptCall{key: b.names.Sessions, args: []any{s.Identity, s.value}}
	} else {
		call.key, call.args = b.propertiesOf(s)
		call.args = append(call.args, s.updated.arg(), s.altTime.arg(), old)
	}
	call.args = append(call.args, set...)
	done, err := b.evalWrite(ctx, script, []scriptCall{call})[0].Int()
	switch {
	case ClassOf(err) == ClassWrongType:
		return false, nil // another type has taken its place: not ours
	case err != nil:
		return false, fmt.Errorf("setting the Session JSON of %s: %w", Quote(s.Identity), err)
	}
	return done == 1, nil
}

// Silence says which messages show that a session is still alive: those among
// the Newest of its stream that are not older than Since.
type Silence struct {
	Newest int
	Since  time.Time
	// Now is the server's time, by which ids are judged to be times.
	Now time.Time
}

// Appending is how an attempt to append a message ended.
type Appending int

// The ends of an attempt to append.
const (
	// NotAppended: the session is not silent, the key is no stream, or its ids
	// are not times, so that one of Redis's would spoil them.
	NotAppended Appending = iota
	// NoStream: there is no stream, or it never had an entry.
	NoStream
	// Appended: the message is there, perhaps since an earlier attempt.
	Appended
)

// appendScript appends a message to a stream unless others of its session are
// among the newest. One that is the same does not count: it is from an earlier
// attempt, and is not repeated.
//
// KEYS[1] stream; ARGV[1] session id, ARGV[2] data, ARGV[3] number of newest
// messages, ARGV[4] ms from which they count, ARGV[5] and ARGV[6] least and
// most ms of a last id that is a time
// returns an [Appending]
var appendScript = newScript(`
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
local there = false
for _, entry in ipairs(redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', ARGV[3])) do
  local fields, id, data = entry[2], nil, nil
  for i = 1, #fields, 2 do
    if fields[i] == 'id' then id = fields[i + 1] elseif fields[i] == 'data' then data = fields[i + 1] end
  end
  if id == ARGV[1] and tonumber(string.match(entry[1], '^%d+')) >= tonumber(ARGV[4]) then
    if data ~= ARGV[2] then return 0 end
    there = true
  end
end
if not there then redis.call('XADD', KEYS[1], 'NOMKSTREAM', '*', 'id', ARGV[1], 'data', ARGV[2]) end
return 2
`)

// AppendIfSilent appends a message of a session to its stream, if there is one,
// unless other messages of the session are among its newest.
func (b *Buffer) AppendIfSilent(ctx context.Context, s Session, data []byte, silence Silence) (Appending, error) {
	call := scriptCall{key: b.names.StreamKey(s.Stream), args: []any{
		s.ID, data, silence.Newest, silence.Since.UnixMilli(), MinTimeMs, silence.Now.Add(MaxTimeAhead).UnixMilli(),
	}}
	end, err := b.evalWrite(ctx, appendScript, []scriptCall{call})[0].Int()
	if err != nil {
		return NotAppended, fmt.Errorf("appending to stream %s: %w", Quote(s.Stream), err)
	}
	return Appending(end), nil
}
