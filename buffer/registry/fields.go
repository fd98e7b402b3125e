package registry

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// Fields is the layout of one Hash with a field for each property of each
// session: <identity>:lastUpdated and so on.
const Fields Layout = "fields"

type fields struct{}

func (fields) name() Layout { return Fields }

func (fields) rights(u Use) []string {
	words := []string{"+hscan", "+hmget", "+hexists"}
	if u.Remove {
		words = append(words, "+hget", "+hdel")
	}
	return words
}

func (fields) reader(r *Registry) hashReader {
	return &fieldsReader{r: r, seen: make(map[string][]string)}
}

// fieldsReader gathers the fields that came in one page: a session's are
// scattered over many.
type fieldsReader struct {
	r          *Registry
	identities []string
	// seen holds, for each identity, its properties in the page.
	seen map[string][]string
}

// claims reports whether a field is a property of a session.
func (*fieldsReader) claims(field, value string) bool {
	_, _, ok := cutField(field)
	return ok && !looksLikeEntry(value)
}

func (f *fieldsReader) take(field, _ string) {
	identity, property, _ := cutField(field)
	if _, ok := f.seen[identity]; !ok {
		f.identities = append(f.identities, identity)
	}
	f.seen[identity] = append(f.seen[identity], property)
}

// sessions reads the sessions whose turn it is. A session is visited when the
// scan comes upon its first property in the order of properties, so that it
// is visited once although its fields come in several pages.
func (f *fieldsReader) sessions(ctx context.Context, page []Session) ([]Session, error) {
	defer func() { f.identities = f.identities[:0]; clear(f.seen) }()
	identities, err := f.withoutLaterTurn(ctx)
	if err != nil || len(identities) == 0 {
		return page, err
	}
	// All but the Session JSON, which may be big and comes last anyway.
	ask := properties[:len(properties)-1]
	pipe := f.r.conn.Client().Pipeline()
	cmds := make([]*redis.SliceCmd, len(identities))
	for i, identity := range identities {
		names := make([]string, len(ask))
		for k, property := range ask {
			names[k] = identity + ":" + property
		}
		cmds[i] = pipe.HMGet(ctx, f.r.o.Key, names...)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, f.failed(err)
	}
	for i, identity := range identities {
		if values := cmds[i].Val(); isTurn(values, f.seen[identity]) {
			page = append(page, sessionOf(identity, Fields, values))
		}
	}
	return page, nil
}

func (f *fieldsReader) failed(err error) error {
	return fmt.Errorf("reading the sessions in %q: %w", f.r.o.Key, err)
}

// withoutLaterTurn leaves out, at little cost, the sessions whose turn comes
// with another page: those that have a stream's name, and not in this one.
func (f *fieldsReader) withoutLaterTurn(ctx context.Context) ([]string, error) {
	var now, maybe []string
	for _, identity := range f.identities {
		if slices.Contains(f.seen[identity], propStream) {
			now = append(now, identity)
		} else {
			maybe = append(maybe, identity)
		}
	}
	if len(maybe) == 0 {
		return now, nil
	}
	pipe := f.r.conn.Client().Pipeline()
	cmds := make([]*redis.BoolCmd, len(maybe))
	for i, identity := range maybe {
		cmds[i] = pipe.HExists(ctx, f.r.o.Key, identity+":"+propStream)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, f.failed(err)
	}
	for i, identity := range maybe {
		if !cmds[i].Val() {
			now = append(now, identity)
		}
	}
	return now, nil
}

// isTurn reports whether the page held the first property that the session has.
func isTurn(values []any, seen []string) bool {
	for i, value := range values {
		if value != nil {
			return slices.Contains(seen, properties[i])
		}
	}
	// Nothing but the Session JSON, or gone meanwhile.
	return slices.Contains(seen, propJSON)
}

// cutField splits a field of the fields layout at the property's name, which
// is at the end: an identity may itself hold ":".
func cutField(field string) (identity, property string, ok bool) {
	i := strings.LastIndexByte(field, ':')
	if i < 0 {
		return "", "", false
	}
	if !slices.Contains(properties, field[i+1:]) {
		return "", "", false
	}
	return field[:i], field[i+1:], true
}

// expireFieldsScript removes all properties of sessions whose time is still the
// one that was judged.
//
// KEYS[1] the Hash; ARGV identity, lastUpdated, updated, … where a time is
// "=" and its text, or empty for none
// returns a string with 1 or 0 for each
var expireFieldsScript = redisconn.NewScript(`
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

func (fields) expire(ctx context.Context, r *Registry, sessions []Session) ([]bool, error) {
	var args []any
	for _, s := range sessions {
		args = append(args, s.Identity, s.updated.arg(), s.altTime.arg())
	}
	return r.expireInHash(ctx, expireFieldsScript, len(sessions), args)
}

func (fields) exists(ctx context.Context, p redis.Pipeliner, r *Registry, s Session) []func() bool {
	return []func() bool{p.HExists(ctx, r.o.Key, s.Identity+":"+propStream).Val}
}

func (fields) place(r *Registry, s Session) place { return place{r.o.Key, s.Identity + ":"} }

func (l fields) jsons(ctx context.Context, r *Registry, sessions []Session) ([]string, error) {
	return readJSONs(ctx, r, l, sessions)
}

func (l fields) compareJSON(ctx context.Context, r *Registry, s Session, old string, updated *string) (bool, error) {
	return compareProperty(ctx, r, l, s, old, updated)
}
