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

// expireKeyScript removes the key of one session that is still as it was judged.
//
// KEYS[1] the key; ARGV lastUpdated, updated, streamName, streamSessionId, each
// "=" and its text, or empty for none
// returns "1" or "0"
var expireKeyScript = redisconn.NewScript(sameLua + `
if same('', 1) then return tostring(redis.call('UNLINK', KEYS[1])) end
return '0'
`)

// expire removes keys in one pipeline.
func (keys) expire(ctx context.Context, r *Registry, sessions []Session) ([]bool, error) {
	calls := make([]redisconn.Call, len(sessions))
	for i, s := range sessions {
		calls[i] = redisconn.Call{Keys: []string{r.prefix() + s.Identity}, Args: s.compared()}
	}
	removed := make([]bool, len(sessions))
	var failed error
	for i, cmd := range r.conn.EvalWrite(ctx, expireKeyScript, calls) {
		done, err := cmd.Text()
		if err == nil && len(done) != 1 {
			err = fmt.Errorf("%w: %d outcomes of a session", redisconn.ErrIncomplete, len(done))
		}
		removed[i] = done == "1"
		// A key of another type has taken the session's place: not ours.
		if err != nil && !isWrongType(err) {
			failed = err
		}
	}
	return removed, failed
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
