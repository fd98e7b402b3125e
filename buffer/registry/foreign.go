package registry

import (
	"context"
	"fmt"
	"slices"

	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// clues are what may still show that an entry is RTA's where none of the fields
// that were read does.
type clues struct {
	// marked: a field that was not read does.
	marked bool
	// json is the Session JSON, and stream the name in the field of that name.
	json   string
	stream optional
}

// markForeign marks the sessions of a page that nothing marks as RTA's. Redis
// is asked only about those that no field which was read marks.
func (r *Registry) markForeign(ctx context.Context, page []Session) error {
	if r.o.JudgeForeign {
		return nil
	}
	var doubtful []int
	for i := range page {
		if !page[i].marked {
			doubtful = append(doubtful, i)
		}
	}
	for part := range slices.Chunk(doubtful, jsonBatch) {
		if err := r.markDoubtful(ctx, page, part); err != nil {
			return err
		}
	}
	return nil
}

func (r *Registry) markDoubtful(ctx context.Context, page []Session, doubtful []int) error {
	sessions := pick(page, doubtful)
	var streams []any
	var naming []int
	err := eachLayout(sessions, func(l layout, indexes []int) error {
		found, err := l.clues(ctx, r, pick(sessions, indexes))
		for k, c := range found {
			i := doubtful[indexes[k]]
			page[i].Foreign = !c.marked && !burst.IsSessionJSON([]byte(c.json))
			if page[i].Foreign && c.stream.set {
				streams, naming = append(streams, c.stream.text), append(naming, i)
			}
		}
		return err
	})
	if err != nil || len(streams) == 0 {
		return err
	}
	listed, err := r.conn.Client().SMIsMember(ctx, r.o.Streams, streams...).Result()
	if err != nil {
		return fmt.Errorf("looking up the streams that entries name: %w", err)
	}
	for k, i := range naming {
		if listed[k] {
			// It may be the stream's owner: in doubt the stream stays.
			page[i].Foreign, page[i].HasStream = false, true
			page[i].Stream, _ = streams[k].(string)
		}
	}
	return nil
}

// cluesScript reads what may still show that a session is RTA's.
//
// KEYS[1] the Hash; ARGV what goes before a property's name, most bytes
// returns 1 if a field marks it, its Session JSON and its stream, each "=" and
// the text, or empty for none
var cluesScript = redisconn.NewScript(`
local p, most = ARGV[1], tonumber(ARGV[2])
local v = redis.call('HMGET', KEYS[1], p .. 'streamName', p .. 'streamSessionId', p .. 'streamPosition', p .. 'tStart', p .. 'tEnd',
  p .. 'json', p .. 'stream')
local marked = 0
for i = 1, 5 do if v[i] then marked = 1 end end
local function text(s) return s and #s <= most and '=' .. s or '' end
return {marked, text(v[6]), text(v[7])}
`)

// readClues reads them where each property has a field of its own.
func readClues(ctx context.Context, r *Registry, l propertyLayout, sessions []Session) ([]clues, error) {
	calls := make([]redisconn.Call, len(sessions))
	for i, s := range sessions {
		p := l.place(r, s)
		calls[i] = redisconn.Call{Keys: []string{p.key}, Args: []any{p.prefix, MaxSessionJSON}}
	}
	found := make([]clues, len(sessions))
	for i, cmd := range r.conn.EvalRead(ctx, cluesScript, calls) {
		reply, err := cmd.Slice()
		if isWrongType(err) {
			continue
		}
		if err != nil || len(reply) != 3 {
			return nil, fmt.Errorf("reading what marks an entry of the %s layout: %w", l.name(), err)
		}
		json, stream := fromArg(reply[1]), fromArg(reply[2])
		found[i] = clues{marked: reply[0] == int64(1), json: json.text, stream: stream}
	}
	return found, nil
}
