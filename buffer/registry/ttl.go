package registry

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// ErrTimeToLive means that an entry is not changed: its field may expire by
// itself, and the Redis user may not read or set when.
var ErrTimeToLive = errors.New("the time to live of the entry is not known: the Redis user needs +hpexpiretime and +hpexpireat")

// fieldTTL says whether fields of Hashes expire by themselves, which they may from
// Redis 7.4 and Valkey 9 on: then the shared Hash may have fewer entries without a
// loss.
type fieldTTL int

const (
	noFieldTTL fieldTTL = iota
	someFieldTTL
	// fieldTTLUnknown: the Redis user may not ask.
	fieldTTLUnknown
)

// fieldTTLs asks whether any Hash of the database has fields that expire by
// themselves, which Redis counts.
func (r *Registry) fieldTTLs(ctx context.Context) (fieldTTL, error) {
	// A Valkey that calls itself Redis for the sake of old clients says 7.2.
	if !r.conn.Server().AtLeast(7, 2) {
		return noFieldTTL, nil
	}
	found := noFieldTTL
	err := r.conn.Masters(ctx, func(ctx context.Context, node *redis.Client) error {
		info, err := node.Info(ctx, "keyspace").Result()
		switch class := redisconn.ClassOf(err); {
		case class == redisconn.ClassAuth:
			found = max(found, fieldTTLUnknown)
		case class == redisconn.ClassOther:
			// Not a server that knows the section.
		case err != nil:
			return fmt.Errorf("asking whether fields expire by themselves: %w", err)
		case countFieldTTLs(info, node.Options().DB) > 0 && found == noFieldTTL:
			found = someFieldTTL
		}
		return nil
	})
	return found, err
}

// countFieldTTLs reads how many Hashes of a database have fields that expire,
// by Redis's name and by Valkey's.
func countFieldTTLs(info string, db int) int64 {
	for line := range strings.Lines(info) {
		facts, ok := strings.CutPrefix(strings.TrimSpace(line), "db"+strconv.Itoa(db)+":")
		if !ok {
			continue
		}
		for fact := range strings.SplitSeq(facts, ",") {
			name, value, _ := strings.Cut(fact, "=")
			if name == "subexpiry" || name == "keys_with_volatile_items" {
				n, _ := strconv.ParseInt(value, 10, 64)
				return n
			}
		}
	}
	return 0
}

// mayReadTTLScript asks for the time to live of a field, which need not be there.
//
// KEYS[1] a Hash
// returns 1 if the Redis user may
var mayReadTTLScript = redisconn.NewScript(`
local at = redis.pcall('HPEXPIRETIME', KEYS[1], 'FIELDS', 1, '')
if type(at) == 'table' and at.err and string.find(at.err, 'ermission') then return 0 end
return 1
`)

// MaySetJSON reports whether Session JSONs can be set so that what expires by
// itself still does; [ErrTimeToLive] if not. It does not depend on the session.
func (r *Registry) MaySetJSON(ctx context.Context) error {
	ttls, err := r.fieldTTLs(ctx)
	if err != nil || ttls == noFieldTTL {
		return err
	}
	may, err := r.conn.EvalRead(ctx, mayReadTTLScript, []redisconn.Call{{Keys: []string{r.o.Key}}})[0].Int()
	if err == nil && may == 0 {
		err = ErrTimeToLive
	}
	return err
}

// setLua sets a field of KEYS[1], and leaves it the time at which it expires
// by itself. Servers before 7.4 know no such time; where the Redis user may not
// ask for it, noTTL says that no field has one. What cannot be given back
// its time is not set, and -1 returned.
const setLua = `
local function set(field, value, noTTL)
  local at = redis.pcall('HPEXPIRETIME', KEYS[1], 'FIELDS', 1, field)
  local ms = -1
  if not at.err then
    ms = at[1]
  elseif not string.find(at.err, 'nknown') and not (noTTL == '1' and string.find(at.err, 'ermission')) then
    return -1
  end
  if ms > 0 then
    local may = redis.pcall('HPEXPIREAT', KEYS[1], ms, 'FIELDS', 1, field)
    if may.err then return -1 end
  end
  redis.call('HSET', KEYS[1], field, value)
  if ms > 0 then redis.call('HPEXPIREAT', KEYS[1], ms, 'FIELDS', 1, field) end
  return 1
end
`

// noTTL is how a script of setLua is told whether no field has a time to live.
func (r *Registry) noTTL(ctx context.Context) (string, error) {
	ttls, err := r.fieldTTLs(ctx)
	if ttls == noFieldTTL {
		return "1", err
	}
	return "", err
}
