package registry

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// Object is the layout of one Hash whose values are JSON objects.
const Object Layout = "object"

type object struct{}

func (object) name() Layout { return Object }

func (object) rights(u Use) []string {
	words := []string{"+hscan"}
	if u.Remove {
		words = append(words, "+hexists", "+hget", "+hdel")
	}
	return words
}

func (object) reader(*Registry) hashReader { return &objectReader{} }

type objectReader struct{ page []Session }

// claims takes what no other layout does.
func (*objectReader) claims(string, string) bool { return true }

func (o *objectReader) take(field, value string) {
	o.page = append(o.page, objectSession(field, value))
}

func (o *objectReader) sessions(_ context.Context, page []Session) ([]Session, error) {
	page = append(page, o.page...)
	o.page = o.page[:0]
	return page, nil
}

// objectSession reads an entry of the object layout.
func objectSession(identity, value string) Session {
	s := Session{Identity: identity, Layout: Object, value: value}
	var updated, alt optional
	err := scanObject(value, func(key, raw string, _ int) {
		switch key {
		case propUpdated:
			updated = scalar(raw)
		case propUpdatedOld:
			alt = scalar(raw)
		case propStream:
			stream := scalar(raw)
			s.Stream, s.HasStream = stream.text, stream.set
		case propID:
			s.ID = scalar(raw).text
		}
	})
	s.setTime(updated, alt)
	if err != nil {
		// What was read before the fault may not be what the producer meant,
		// except the stream: it counts as owned all the same.
		s.Malformed = ErrNotJSON
	}
	return s
}

// looksLikeEntry reports whether a value is an entry of the object layout
// rather than a property of the fields layout. Of the properties only the
// Session JSON is an object too, and that must have an identity.
func looksLikeEntry(value string) bool {
	if !strings.HasPrefix(strings.TrimLeft(value, " \t\r\n"), "{") {
		return false
	}
	entry, sessionJSON := false, false
	_ = scanObject(value, func(key, _ string, _ int) {
		switch key {
		case propUpdated, propUpdatedOld, propStream, propID:
			entry = true
		case "identity":
			sessionJSON = true
		}
	})
	return entry && !sessionJSON
}

// expireObjectsScript removes entries whose value is still the one that was
// judged.
//
// KEYS[1] the Hash; ARGV identity, value, identity, value, …
// returns a string with 1 or 0 for each
var expireObjectsScript = redisconn.NewScript(`
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

func (object) expire(ctx context.Context, r *Registry, sessions []Session) ([]bool, error) {
	var args []any
	for _, s := range sessions {
		args = append(args, s.Identity, s.value)
	}
	return r.expireInHash(ctx, expireObjectsScript, len(sessions), args)
}

func (object) exists(ctx context.Context, p redis.Pipeliner, r *Registry, s Session) []func() bool {
	return []func() bool{p.HExists(ctx, r.o.Key, s.Identity).Val}
}

func (object) jsons(_ context.Context, _ *Registry, sessions []Session) ([]string, error) {
	jsons := make([]string, len(sessions))
	for i, s := range sessions {
		if json := entryJSON(s.value); len(json) <= MaxSessionJSON {
			jsons[i] = json
		}
	}
	return jsons, nil
}

// setObjectScript sets an entry that still has the value that was judged.
//
// KEYS[1] the Hash; ARGV identity, value, new value or none for a look only
// returns 1 if the entry has that value, else 0
var setObjectScript = redisconn.NewScript(setLua + `
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
if not ARGV[3] then return 1 end
return set(ARGV[1], ARGV[3])
`)

func (object) compareJSON(ctx context.Context, r *Registry, s Session, old string, updated *string) (bool, error) {
	args := []any{s.Identity, s.value}
	if updated != nil {
		value, ok := spliceJSON(s.value, old, *updated)
		if !ok {
			return false, nil
		}
		args = append(args, value)
	}
	return r.set(ctx, setObjectScript, redisconn.Call{Keys: []string{r.o.Key}, Args: args})
}
