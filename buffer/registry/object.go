package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// Object is the layout of one Hash whose values are JSON objects.
const Object Layout = "object"

type object struct{}

func (object) name() Layout { return Object }

func (object) rights(u Use) []string {
	words := []string{"+hscan", "+hmget", "+smismember"}
	if u.Remove {
		words = append(words, "+hexists", "+hget", "+hdel", "+info")
	}
	return words
}

func (object) reader(r *Registry) hashReader { return &objectReader{r: r} }

type objectReader struct {
	r    *Registry
	page []Session
}

// claims takes what no other layout does.
func (*objectReader) claims(string, string) bool { return true }

func (o *objectReader) take(field, value string) {
	o.page = append(o.page, objectSession(field, value))
}

func (o *objectReader) sessions(ctx context.Context, page []Session) ([]Session, error) {
	start := len(page)
	page = append(page, o.page...)
	o.page = o.page[:0]
	return page, o.r.markAmbiguous(ctx, page[start:])
}

// objectSession reads an entry of the object layout.
func objectSession(identity, value string) Session {
	s := Session{Identity: identity, Layout: Object, value: value}
	var updated, alt optional
	named := true
	err := scanObject(value, func(key, raw string, _ int) {
		switch key {
		case propUpdated:
			updated = scalar(raw)
		case propUpdatedOld:
			alt = scalar(raw)
		case propStream:
			stream := scalar(raw)
			s.Stream, s.HasStream, named = stream.text, stream.set, isText(raw)
		case propID:
			s.id = scalar(raw)
			s.ID = s.id.text
		case propPosition:
			s.position = scalar(raw)
		case propStart:
			s.start = scalar(raw)
		case propEnd:
			s.end = scalar(raw)
		}
		s.marked = s.marked || isMark(key) && raw != "null"
	})
	s.setTime(updated, alt)
	switch {
	case err != nil:
		// What was read before the fault may not be what the producer meant,
		// except the stream: it counts as owned all the same.
		s.Malformed, s.marked = notJSON(value), mentionsMark(value)
	case !named:
		s.Malformed = ErrNoName
	}
	s.bytes, s.isNamed = value, err == nil && named && s.HasStream
	return s
}

// notJSON says that a value cannot be read, and why where that is a common slip.
func notJSON(value string) error {
	for _, number := range []string{"NaN", "Infinity"} {
		if strings.Contains(value, number) {
			return fmt.Errorf("%w: it holds %s, which is no JSON", ErrNotJSON, number)
		}
	}
	return ErrNotJSON
}

// mentionsMark reports whether the name of a property that marks an entry as
// RTA's occurs in a value that cannot be read.
func mentionsMark(value string) bool {
	return slices.ContainsFunc(marks, func(mark string) bool { return strings.Contains(value, mark) })
}

// expireObjectsScript removes entries whose value is still the one that was
// judged, and that are not properties of another session.
//
// KEYS and the first of ARGV as of hashRemoveLua; then identity, value, and "=" and
// what goes before the names of the properties of the session whose property the
// entry may be, or empty
// returns a string with the outcome of each
var expireObjectsScript = redisconn.NewScript(hashRemoveLua + `
local function property(prefix)
  local v = redis.call('HMGET', KEYS[1], prefix .. 'lastUpdated', prefix .. 'updated', prefix .. 'streamSessionId')
  for k = 1, 3 do
    if v[k] and not string.find(v[k], '[{%[]') then return true end
  end
end
local done = {}
for i = 5, #ARGV, 3 do
  local id = ARGV[i]
  if redis.call('HGET', KEYS[1], id) == ARGV[i + 1] and (ARGV[i + 2] == '' or not property(string.sub(ARGV[i + 2], 2))) and not putBack(id) then
    done[#done + 1] = remove(id, 'object', {id}, {'=', ARGV[i + 1]})
  else
    done[#done + 1] = STAYS
  end
end
finish()
return table.concat(done)
`)

func (object) expire(ctx context.Context, r *Registry, sessions []Session, how Expiring) ([]Expiry, error) {
	var args []any
	for _, s := range sessions {
		prefix, ok := mayBeProperty(s.Identity)
		args = append(args, s.Identity, s.value, optional{prefix, ok}.arg())
	}
	done, err := r.expireInHash(ctx, expireObjectsScript, sessions, how, args)
	return outcomes(done, len(sessions)), err
}

func (object) clues(_ context.Context, _ *Registry, sessions []Session) ([]clues, error) {
	found := make([]clues, len(sessions))
	for i, s := range sessions {
		found[i].json = entryJSON(s.value)
		_ = scanObject(s.value, func(key, raw string, _ int) {
			if key == propStreamAlias && strings.HasPrefix(raw, `"`) {
				found[i].stream = scalar(raw)
			}
		})
	}
	return found, nil
}

func (object) signs(identity string) []string { return []string{identity} }

// copyPrefix is the whole field: its name in a copy is empty.
func (object) copyPrefix(identity string) string { return identity }

func (object) copiedStream(identity string, field func(string) optional) optional {
	s := objectSession(identity, field("").text)
	return optional{s.Stream, s.HasStream}
}

func (object) jsons(_ context.Context, _ *Registry, sessions []Session) ([]string, error) {
	jsons := make([]string, len(sessions))
	for i, s := range sessions {
		if text := entryJSON(s.value); len(text) <= MaxSessionJSON {
			jsons[i] = text
		}
	}
	return jsons, nil
}

// setObjectScript sets an entry that still has the value that was judged.
//
// KEYS[1] the Hash; ARGV identity, value, and unless it is for a look only the
// new value and noTTL as in setLua
// returns 1 if the entry has that value, 0 if not, -1 as in setLua
var setObjectScript = redisconn.NewScript(setLua + `
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
if not ARGV[3] then return 1 end
return set(ARGV[1], ARGV[3], ARGV[4])
`)

func (object) compareJSON(ctx context.Context, r *Registry, s Session, old string, updated *string) (bool, error) {
	if updated != nil {
		value, ok := spliceJSON(s.value, old, *updated)
		if !ok {
			return false, nil
		}
		updated = &value
	}
	return r.set(ctx, setObjectScript, r.o.Key, []any{s.Identity, s.value}, updated)
}

func (object) produce(ctx context.Context, to redis.Cmdable, key, identity string, pairs []any) error {
	entry := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		entry[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	value, err := json.Marshal(entry)
	if err != nil {
		return fmt.Errorf("as JSON: %w", err)
	}
	return to.HMSet(ctx, key, identity, value).Err()
}
