package registry

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
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
	words := []string{"+hscan", "+hmget", "+hget", "+smismember"}
	if u.Remove {
		words = append(words, "+hexists", "+hdel", "+info")
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
	// unknown are fields that may be properties nobody knows.
	unknown []unknownField
}

// claims reports whether a field is a property of a session.
func (f *fieldsReader) claims(field, value string) bool {
	_, property, ok := cutField(field)
	if !ok {
		f.noteUnknown(field, value)
		return false
	}
	return isProperty(property, value)
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
	if err := f.resolve(ctx); err != nil {
		return nil, err
	}
	identities, err := f.withoutLaterTurn(ctx)
	if err != nil || len(identities) == 0 {
		return page, err
	}
	all, err := f.r.readProperties(ctx, identities)
	if err != nil {
		return nil, err
	}
	for i, identity := range identities {
		if isTurn(all[i], f.seen[identity]) {
			page = append(page, fieldsSession(identity, all[i]))
		}
	}
	return page, nil
}

// readProperties reads the properties of sessions but the Session JSON, which
// may be big and comes last anyway.
func (r *Registry) readProperties(ctx context.Context, identities []string) ([][]any, error) {
	pipe := r.conn.Client().Pipeline()
	cmds := make([]*redis.SliceCmd, len(identities))
	for i, identity := range identities {
		names := make([]string, len(properties)-1)
		for k := range names {
			names[k] = identity + ":" + properties[k]
		}
		cmds[i] = pipe.HMGet(ctx, r.o.Key, names...)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("reading the sessions in %q: %w", r.o.Key, err)
	}
	all := make([][]any, len(identities))
	for i, cmd := range cmds {
		all[i] = cmd.Val()
	}
	return all, nil
}

// fieldsSession makes a session of its properties. An entry of another layout
// that lies where one of them would says nothing of it; only the stream of that
// name counts as owned, as in doubt it stays.
func fieldsSession(identity string, values []any) Session {
	own := slices.Clone(values)
	for i, value := range own {
		if text, ok := value.(string); ok && !isProperty(properties[i], text) {
			own[i] = nil
		}
	}
	s := sessionOf(identity, Fields, own)
	s.stream, s.id = newOptional(values[0]), newOptional(values[3])
	s.updated, s.altTime = newOptional(values[1]), newOptional(values[2])
	s.Stream, s.HasStream = s.stream.text, s.stream.set
	return s
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
	cmds := make([]*redis.StringCmd, len(maybe))
	for i, identity := range maybe {
		cmds[i] = pipe.HGet(ctx, f.r.o.Key, identity+":"+propStream)
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("reading the sessions in %q: %w", f.r.o.Key, err)
	}
	for i, identity := range maybe {
		if name, err := cmds[i].Result(); err != nil || !isProperty(propStream, name) {
			now = append(now, identity)
		}
	}
	return now, nil
}

// isTurn reports whether the page held the first property that the session has.
func isTurn(values []any, seen []string) bool {
	for i, value := range values {
		if text, ok := value.(string); ok && isProperty(properties[i], text) {
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

// expireFieldsScript removes the properties of sessions that are still as they
// were judged. What lies where a property would, and is an entry of another
// layout, stays.
//
// KEYS and the first of ARGV as of hashRemoveLua; then the number of properties that
// nobody knows, their names, and for each session identity, lastUpdated, updated, streamName,
// streamSessionId as in expireKeyScript, 1 if what lies at streamName stays, and
// of its Session JSON: "keep", the hash that it must have to go, or empty to have
// it looked at
// returns a string with the outcome of each, LOOK where its Session JSON must be looked
// at
var expireFieldsScript = redisconn.NewScript(hashRemoveLua + sameLua + `
local known = {'lastUpdated', 'updated', 'streamSessionId', 'streamPosition', 'tStart', 'tEnd'}
local others = tonumber(ARGV[5])
for i = 1, others do known[#known + 1] = ARGV[i + 5] end
local function doubtful(json)
  for _, name in ipairs({'streamName', 'streamSessionId', 'streamPosition', 'tStart', 'tEnd', '"json"'}) do
    if string.find(json, name, 1, true) then return true end
  end
end
local function expire(identity, keepName, verdict)
  local id = identity .. ':'
  local json = redis.call('HGET', KEYS[1], id .. 'json')
  if json and verdict == '' and doubtful(json) then return LOOK end
  if verdict ~= '' and verdict ~= 'keep' and (not json or redis.sha1hex(json) ~= verdict) then return STAYS end
  local fields, gone, pairs = {}, {}, {}
  local function take(name, value)
    gone[#gone + 1] = id .. name
    pairs[#pairs + 1] = '=' .. name
    pairs[#pairs + 1] = value
  end
  for i, name in ipairs(known) do fields[i] = id .. name end
  for i, v in ipairs(redis.call('HMGET', KEYS[1], unpack(fields))) do
    if v and not string.find(v, '[{%[]') and not string.find(v, 'streamName', 1, true) then take(known[i], v) end
  end
  if keepName == '' then
    local name = redis.call('HGET', KEYS[1], id .. 'streamName')
    if name then take('streamName', name) end
  end
  if json and verdict ~= 'keep' then take('json', json) end
  -- There is its time at least, which was compared; HDEL without a field would fail.
  if #gone == 0 then return UNCOPIED end
  return remove(identity, 'fields', gone, pairs)
end
local done = {}
for i = others + 6, #ARGV, 7 do
  done[#done + 1] = same(ARGV[i] .. ':', i + 1) and not putBack(ARGV[i]) and expire(ARGV[i], ARGV[i + 5], ARGV[i + 6]) or STAYS
end
finish()
return table.concat(done)
`)

func (l fields) expire(ctx context.Context, r *Registry, sessions []Session, how Expiring) ([]Expiry, error) {
	verdicts := make([]string, len(sessions))
	done, err := l.expireWith(ctx, r, sessions, how, verdicts)
	all := outcomes(done, len(sessions))
	if err != nil || !strings.ContainsRune(done, outcomeLook) {
		return all, err
	}
	var doubtful []int
	for i := range sessions {
		if i < len(done) && done[i] == outcomeLook {
			doubtful = append(doubtful, i)
		}
	}
	again := pick(sessions, doubtful)
	jsons, err := readJSONs(ctx, r, l, again, MaxSessionJSON, leaveOut)
	if err != nil {
		return all, err
	}
	verdicts = verdicts[:len(again)]
	for i, json := range jsons {
		verdicts[i] = "keep"
		if json != "" && isProperty(propJSON, json) {
			sum := sha1.Sum([]byte(json))
			verdicts[i] = hex.EncodeToString(sum[:])
		}
	}
	done, err = l.expireWith(ctx, r, again, how, verdicts)
	for k, end := range outcomes(done, len(again)) {
		all[doubtful[k]] = end
	}
	return all, err
}

func (fields) expireWith(ctx context.Context, r *Registry, sessions []Session, how Expiring, verdicts []string) (string, error) {
	unknown := r.unknown.all()
	args := append([]any{len(unknown)}, unknown...)
	for i, s := range sessions {
		keepName := ""
		if s.stream.set && !isProperty(propStream, s.stream.text) {
			keepName = "1"
		}
		args = append(append(append(args, s.Identity), s.compared()...), keepName, verdicts[i])
	}
	return r.expireInHash(ctx, expireFieldsScript, sessions, how, args)
}

// signs are all properties that a session which came back may have, also where its
// producer only updates it.
func (fields) signs(identity string) []string {
	all := make([]string, len(properties))
	for i, property := range properties {
		all[i] = identity + ":" + property
	}
	return all
}

func (fields) copyPrefix(identity string) string { return identity + ":" }

func (fields) copiedStream(_ string, field func(string) optional) optional { return field(propStream) }

func (l fields) clues(ctx context.Context, r *Registry, sessions []Session) ([]clues, error) {
	return readClues(ctx, r, l, sessions)
}

func (fields) place(r *Registry, s Session) place { return place{r.o.Key, s.Identity + ":"} }

func (l fields) jsons(ctx context.Context, r *Registry, sessions []Session) ([]string, error) {
	jsons, err := readJSONs(ctx, r, l, sessions, MaxSessionJSON, leaveOut)
	for i, json := range jsons {
		if !isProperty(propJSON, json) {
			jsons[i] = ""
		}
	}
	return jsons, err
}

func (l fields) compareJSON(ctx context.Context, r *Registry, s Session, old string, updated *string) (bool, error) {
	return compareProperty(ctx, r, l, s, old, updated)
}

func (fields) produce(ctx context.Context, to redis.Cmdable, key, identity string, pairs []any) error {
	flat := slices.Clone(pairs)
	for i := 0; i < len(flat); i += 2 {
		flat[i] = fmt.Sprintf("%s:%s", identity, flat[i])
	}
	return to.HMSet(ctx, key, flat...).Err()
}
