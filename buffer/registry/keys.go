package registry

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/escape"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// Keys is the layout of one Hash a session, at sessions:<identity>.
const Keys Layout = "keys"

type keys struct{}

func (keys) name() Layout { return Keys }

func (keys) rights(u Use) []string {
	words := []string{"+scan", "+hmget", "+getrange", "+exists", "+smismember"}
	if u.Remove {
		words = append(words, "+unlink")
	}
	return words
}

// read reads the sessions of one page of keys; one that has expired meanwhile is
// left out. In a cluster a key may have left the node where it was found.
func (keys) read(ctx context.Context, r *Registry, found []string) ([]Session, error) {
	pipe := r.conn.Client().Pipeline()
	cmds := make([]*redis.SliceCmd, len(found))
	wanted := properties[:readProperties]
	if r.inFull {
		wanted = properties[:fullProperties]
	}
	for i, key := range found {
		cmds[i] = pipe.HMGet(ctx, key, wanted...)
	}
	// Every command holds its own error.
	_, _ = pipe.Exec(ctx)
	page := make([]Session, 0, len(found))
	var others []string
	for i, key := range found {
		values, err := cmds[i].Result()
		if err == nil && !slices.ContainsFunc(values, func(v any) bool { return v != nil }) {
			var n int64
			if n, err = r.conn.Client().Exists(ctx, key).Result(); err == nil && n == 0 {
				continue
			}
		}
		if isWrongType(err) {
			others = append(others, key)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading key %s of a session: %w", escape.Quote(key), err)
		}
		s := sessionOf(strings.TrimPrefix(key, r.prefix()), Keys, values)
		s.SelfExpiring = true
		page = append(page, s)
	}
	if err := r.describe(ctx, page); err != nil {
		return nil, err
	}
	unread, err := r.readOthers(ctx, others)
	return append(page, unread...), err
}

// copyField is a field of a copy that no session has: when it was copied, the time
// to live that was left, and its size, in ms and bytes; then what was left to fields
// that expire by themselves: for each the length of its name, its name and ms.
const copyField = "streamkeeper:undo"

// maxCopyFields is how many fields a session may have to be copied: they are
// looked at.
const maxCopyFields = 1024

// copyOverhead is what a copy takes beside what MEMORY USAGE says: its entries in
// the tables of keys and of times to live, which grow by doubling.
const copyOverhead = 130

// expireKeyScript removes the key of one session that is still as it was judged,
// and was not put back. It keeps it under another name where that is wanted: what
// fails there keeps nothing from being removed. In a copy no field expires by
// itself; where that cannot be had, there is none.
//
// KEYS[1] the key, KEYS[2] its copy, KEYS[3] the note that it was put back, the
// latter two if they can be reached; ARGV as of Expiring.args, and lastUpdated,
// updated, streamName, streamSessionId, each "=" and its text, or empty for none
// returns 0, or 3 if it was removed without a copy, or 1 and the size of the copy
var expireKeyScript = redisconn.NewScript(sameLua + nowLua + `
if not same('', 5) then return '0' end
local note = KEYS[3] and redis.pcall('GET', KEYS[3])
note = type(note) == 'string' and tonumber(note)
if note and now - note <= tonumber(ARGV[1]) then return '0' end
local function size(key)
  local n = redis.pcall('MEMORY', 'USAGE', key, 'SAMPLES', 0)
  if type(n) ~= 'number' then
    n = 64 + #key
    for _, text in ipairs(redis.call('HGETALL', key)) do n = n + #text + 48 end
  end
  return n + ` + fmt.Sprint(copyOverhead) + `
end
local function lasting()
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
  if not KEYS[2] or tonumber(ARGV[2]) <= 0 or redis.call('HLEN', KEYS[1]) > ` + fmt.Sprint(maxCopyFields) + ` then return end
  local most, left = tonumber(ARGV[3]), redis.call('PTTL', KEYS[1])
  if size(KEYS[1]) > most then return end
  local ends = lasting()
  if not ends or redis.pcall('RENAME', KEYS[1], KEYS[2]).err then return end
  local function note(bytes)
    return redis.pcall('HSET', KEYS[2], '` + copyField + `', string.format('%.0f %.0f %015.0f ', now, left, bytes) .. ends)
  end
  local new = note(0)
  local kept = redis.pcall('PEXPIRE', KEYS[2], ARGV[2])
  -- A longer name and one more field take more, and may make another encoding of it.
  local bytes = size(KEYS[2])
  if new == 1 and kept == 1 and bytes <= most and note(bytes) == 0 then return '1 ' .. string.format('%.0f', bytes) end
  redis.call('UNLINK', KEYS[2])
  return '3'
end
return keep() or (redis.call('UNLINK', KEYS[1]) == 1 and '3' or '0')
`)

// copyMeta is what [copyField] holds, as far as Go reads it.
type copyMeta struct {
	at, left, bytes int64
}

func copyMetaOf(text string) (m copyMeta, ok bool) {
	parts := strings.SplitN(text, " ", 4)
	if len(parts) < 3 {
		return copyMeta{}, false
	}
	return copyMeta{number(parts[0]), number(parts[1]), number(parts[2])}, true
}

// expire removes keys in one pipeline.
func (keys) expire(ctx context.Context, r *Registry, sessions []Session, how Expiring) ([]Expiry, error) {
	calls := make([]redisconn.Call, len(sessions))
	for i, s := range sessions {
		calls[i] = redisconn.Call{Keys: r.withAside(r.prefix() + s.Identity), Args: append(how.args(s.mayEnd), s.compared()...)}
	}
	ended := make([]Expiry, len(sessions))
	var failed error
	for i, cmd := range r.conn.EvalWrite(ctx, expireKeyScript, calls) {
		done, err := cmd.Text()
		if err == nil && done == "" {
			err = fmt.Errorf("%w: no outcome of a session", redisconn.ErrIncomplete)
		}
		outcome, bytes, _ := strings.Cut(done, " ")
		ended[i] = outcomes(outcome, 1)[0]
		ended[i].Bytes = number(bytes)
		// A key of another type has taken the session's place: not ours.
		if err != nil && !isWrongType(err) {
			failed = err
		}
	}
	return ended, failed
}

func (keys) exists(ctx context.Context, p redis.Pipeliner, r *Registry, s Session) []func() bool {
	cmd := p.Exists(ctx, r.prefix()+s.Identity)
	return []func() bool{func() bool { return cmd.Val() > 0 }}
}

func (keys) place(r *Registry, s Session) place { return place{key: r.prefix() + s.Identity} }

func (l keys) jsons(ctx context.Context, r *Registry, sessions []Session) ([]string, error) {
	return readJSONs(ctx, r, l, sessions)
}

func (l keys) clues(ctx context.Context, r *Registry, sessions []Session) ([]clues, error) {
	return readClues(ctx, r, l, sessions)
}

func (l keys) compareJSON(ctx context.Context, r *Registry, s Session, old string, updated *string) (bool, error) {
	return compareProperty(ctx, r, l, s, old, updated)
}

func (keys) produce(ctx context.Context, to redis.Cmdable, key, identity string, pairs []any) error {
	return to.HMSet(ctx, key+":"+identity, pairs...).Err()
}
