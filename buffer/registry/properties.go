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
// updated as in expireKeyScript, most bytes, what is done with a longer one
// returns it, or "" if there is none, or if the time is another; of one that is too long
// its beginning, or "" too
var readJSONScript = redisconn.NewScript(`
local v = redis.call('HMGET', KEYS[1], ARGV[1] .. 'lastUpdated', ARGV[1] .. 'updated', ARGV[1] .. 'json')
local function now(v) return v and '=' .. v or '' end
if now(v[1]) ~= ARGV[2] or now(v[2]) ~= ARGV[3] or not v[3] then return '' end
local most = tonumber(ARGV[4])
if #v[3] <= most then return v[3] end
return ARGV[5] == 'cut' and string.sub(v[3], 1, most) or ''
`)

// What readJSONs does with a Session JSON that is too long.
const (
	leaveOut = "leave out"
	cutOff   = "cut"
)

func readJSONs(ctx context.Context, r *Registry, l propertyLayout, sessions []Session, most int64, longer string) ([]string, error) {
	calls := make([]redisconn.Call, len(sessions))
	for i, s := range sessions {
		p := l.place(r, s)
		calls[i] = redisconn.Call{Keys: []string{p.key}, Args: []any{p.prefix, s.updated.arg(), s.altTime.arg(), most, longer}}
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

// setPropertyScript sets the Session JSON of a session whose time and Session
// JSON are still those that were judged.
//
// KEYS[1] the Hash; ARGV what goes before a property's name, lastUpdated,
// updated as in expireKeyScript, Session JSON, and unless it is for a look only
// the new one and noTTL as in setLua
// returns 1 if all is as it was, 0 if not, -1 as in setLua
var setPropertyScript = redisconn.NewScript(setLua + `
local v = redis.call('HMGET', KEYS[1], ARGV[1] .. 'lastUpdated', ARGV[1] .. 'updated', ARGV[1] .. 'json')
local function now(v) return v and '=' .. v or '' end
if now(v[1]) ~= ARGV[2] or now(v[2]) ~= ARGV[3] or v[3] ~= ARGV[4] then return 0 end
if not ARGV[5] then return 1 end
return set(ARGV[1] .. 'json', ARGV[5], ARGV[6])
`)

func compareProperty(ctx context.Context, r *Registry, l propertyLayout, s Session, old string, updated *string) (bool, error) {
	p := l.place(r, s)
	args := []any{p.prefix, s.updated.arg(), s.altTime.arg(), old}
	return r.set(ctx, setPropertyScript, p.key, args, updated)
}

// set runs one of the scripts that compare and set, for a look only if there is
// nothing to set.
func (r *Registry) set(ctx context.Context, s redisconn.Script, key string, args []any, value *string) (bool, error) {
	if value != nil {
		noTTL, err := r.noTTL(ctx)
		if err != nil {
			return false, err
		}
		args = append(args, *value, noTTL)
	}
	done, err := r.conn.EvalWrite(ctx, s, []redisconn.Call{{Keys: []string{key}, Args: args}})[0].Int()
	switch {
	case isWrongType(err):
		return false, nil // another type has taken its place: not ours
	case err != nil:
		return false, fmt.Errorf("setting a Session JSON: %w", err)
	case done < 0:
		return false, ErrTimeToLive
	}
	return done == 1, nil
}
