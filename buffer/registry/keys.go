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

// keys is a layout of one Hash a session, in which each property is a field.
type keys struct {
	called Layout
	names  keyNames
}

func (l keys) name() Layout { return l.called }

func (l keys) keyNames() keyNames { return l.names }

func (keys) rights(u Use) []string {
	words := []string{"+scan", "+hmget", "+getrange", "+exists", "+smismember"}
	if u.Remove {
		words = append(words, "+unlink")
	}
	return words
}

// read reads the properties that are wanted. In a cluster a key may have left the
// node where it was found.
func (l keys) read(ctx context.Context, r *Registry, found []foundKey) ([]Session, error) {
	pipe := r.conn.Client().Pipeline()
	cmds := make([]*redis.SliceCmd, len(found))
	wanted := properties[:readProperties]
	if r.inFull {
		wanted = properties[:fullProperties]
	}
	for i, f := range found {
		cmds[i] = pipe.HMGet(ctx, f.key, wanted...)
	}
	// Every command holds its own error.
	_, _ = pipe.Exec(ctx)
	gone, err := r.gone(ctx, found, cmds)
	if err != nil {
		return nil, err
	}
	page := make([]Session, 0, len(found))
	var others []foundKey
	for i, f := range found {
		values, err := cmds[i].Result()
		if gone[f.key] {
			continue
		}
		if isWrongType(err) {
			others = append(others, f)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading key %s of a session: %w", escape.Quote(f.key), err)
		}
		s := sessionOf(f.identity, l.called, values)
		s.SelfExpiring = true
		page = append(page, s)
	}
	unread, err := r.readOthers(ctx, l.called, others)
	return append(page, unread...), err
}

// gone are those of the keys that are there no more: of which no property was found, as
// of a Hash without any.
func (r *Registry) gone(ctx context.Context, found []foundKey, cmds []*redis.SliceCmd) (map[string]bool, error) {
	pipe := r.conn.Client().Pipeline()
	there := make(map[string]*redis.IntCmd)
	for i, f := range found {
		values, err := cmds[i].Result()
		if err == nil && !slices.ContainsFunc(values, func(v any) bool { return v != nil }) {
			there[f.key] = pipe.Exists(ctx, f.key)
		}
	}
	gone := make(map[string]bool)
	if len(there) == 0 {
		return gone, nil
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("asking which keys of sessions are still there: %w", err)
	}
	for key, cmd := range there {
		gone[key] = cmd.Val() == 0
	}
	return gone, nil
}

// expireKeyScript removes the key of one session that is still as it was judged,
// and was not put back.
//
// KEYS and the first of ARGV as of keyRemoveLua; then lastUpdated, updated, streamName,
// streamSessionId, each "=" and its text, or empty for none
// returns STAYS, or what remove does
var expireKeyScript = redisconn.NewScript(keyRemoveLua + sameLua + `
if not same('', 5) or putBack() then return STAYS end
return remove()
`)

// expire removes keys in one pipeline.
func (l keys) expire(ctx context.Context, r *Registry, sessions []Session, how Expiring) ([]Expiry, error) {
	calls := make([]redisconn.Call, len(sessions))
	for i, s := range sessions {
		calls[i] = redisconn.Call{Keys: r.withAside(r.key(l.called, s.Identity)), Args: append(how.args(s.mayEnd), s.compared()...)}
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
		ended[i].Unknown = redisconn.Unanswered(err)
		// A key of another type has taken the session's place: not ours.
		if err != nil && !isWrongType(err) {
			failed = err
		}
	}
	return ended, failed
}

func (l keys) place(r *Registry, s Session) place { return place{key: r.key(l.called, s.Identity)} }

func (l keys) jsons(ctx context.Context, r *Registry, sessions []Session) ([]string, error) {
	return readJSONs(ctx, r, l, sessions, MaxSessionJSON, leaveOut)
}

func (l keys) clues(ctx context.Context, r *Registry, sessions []Session) ([]clues, error) {
	return readClues(ctx, r, l, sessions)
}

func (l keys) compareJSON(ctx context.Context, r *Registry, s Session, old string, updated *string) (bool, error) {
	return compareProperty(ctx, r, l, s, old, updated)
}

func (l keys) produce(ctx context.Context, to redis.Cmdable, key, identity string, pairs []any) error {
	return to.HMSet(ctx, l.names.key(key, identity), pairs...).Err()
}
