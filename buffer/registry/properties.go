package registry

import (
	"context"
	"fmt"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// propertyLayout keeps each property of a session in a field of its own.
type propertyLayout interface {
	layout
	place(r *Registry, s Session) place
}

// place is the Hash in which the properties of a session lie, and what goes
// before their names there.
type place struct{ key, prefix string }

// readJSONScript reads the Session JSON of a session whose time is still the one
// that was read.
//
// KEYS[1] the Hash; ARGV what goes before a property's name, lastUpdated,
// updated as in expireKeyScript, most bytes
// returns it, or "" if there is none, if it is too long, or if the time is another
var readJSONScript = redisconn.NewScript(`
local v = redis.call('HMGET', KEYS[1], ARGV[1] .. 'lastUpdated', ARGV[1] .. 'updated', ARGV[1] .. 'json')
local function now(v) return v and '=' .. v or '' end
if now(v[1]) ~= ARGV[2] or now(v[2]) ~= ARGV[3] or not v[3] or #v[3] > tonumber(ARGV[4]) then return '' end
return v[3]
`)

func readJSONs(ctx context.Context, r *Registry, l propertyLayout, sessions []Session) ([]string, error) {
	calls := make([]redisconn.Call, len(sessions))
	for i, s := range sessions {
		p := l.place(r, s)
		calls[i] = redisconn.Call{Keys: []string{p.key}, Args: []any{p.prefix, s.updated.arg(), s.altTime.arg(), MaxSessionJSON}}
	}
	jsons := make([]string, len(sessions))
	for i, cmd := range r.conn.EvalRead(ctx, readJSONScript, calls) {
		json, err := cmd.Text()
		if err != nil && !isWrongType(err) {
			return nil, fmt.Errorf("reading a Session JSON of the %s layout: %w", l.name(), err)
		}
		jsons[i] = json
	}
	return jsons, nil
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

// setPropertyScript sets the Session JSON of a session whose time and Session
// JSON are still those that were judged.
//
// KEYS[1] the Hash; ARGV what goes before a property's name, lastUpdated,
// updated as in expireKeyScript, Session JSON, new one or none for a look only
// returns 1 if all is as it was, else 0
var setPropertyScript = redisconn.NewScript(setLua + `
local v = redis.call('HMGET', KEYS[1], ARGV[1] .. 'lastUpdated', ARGV[1] .. 'updated', ARGV[1] .. 'json')
local function now(v) return v and '=' .. v or '' end
if now(v[1]) ~= ARGV[2] or now(v[2]) ~= ARGV[3] or v[3] ~= ARGV[4] then return 0 end
if not ARGV[5] then return 1 end
return set(ARGV[1] .. 'json', ARGV[5])
`)

func compareProperty(ctx context.Context, r *Registry, l propertyLayout, s Session, old string, updated *string) (bool, error) {
	p := l.place(r, s)
	args := []any{p.prefix, s.updated.arg(), s.altTime.arg(), old}
	if updated != nil {
		args = append(args, *updated)
	}
	return r.set(ctx, setPropertyScript, redisconn.Call{Keys: []string{p.key}, Args: args})
}

// set runs one of the scripts that compare and set.
func (r *Registry) set(ctx context.Context, s redisconn.Script, call redisconn.Call) (bool, error) {
	done, err := r.conn.EvalWrite(ctx, s, []redisconn.Call{call})[0].Int()
	switch {
	case isWrongType(err):
		return false, nil // another type has taken its place: not ours
	case err != nil:
		return false, fmt.Errorf("setting a Session JSON: %w", err)
	}
	return done == 1, nil
}
