package registry

import (
	"context"
	"fmt"

	"github.com/streamkeeper/streamkeeper/internal/escape"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// keyForgetScript forgets the copy and the note of one session.
//
// KEYS[1] the key, KEYS[2] its copy, KEYS[3] the note
// returns how many of them there were
var keyForgetScript = redisconn.NewScript(`
local n = 0
if redis.call('TYPE', KEYS[2]).ok == 'hash' then n = redis.call('UNLINK', KEYS[2]) end
return n + redis.call('UNLINK', KEYS[3])
`)

// hashForgetScript forgets copies and the note of one session.
//
// KEYS[1] the Hash, KEYS[2] the copies, KEYS[3] the notes; ARGV identity, ids of
// entries
// returns how many of them there were
var hashForgetScript = redisconn.NewScript(noteLua + `
local n = redis.call('ZREM', KEYS[3], noteOf(ARGV[1]))
for i = 2, #ARGV do n = n + redis.call('XDEL', KEYS[2], ARGV[i]) end
return n
`)

// ForgetCopies forgets all that is kept of an identity: copies, and that it was put
// back. It reports whether there was anything.
func (r *Registry) ForgetCopies(ctx context.Context, identity string) (bool, error) {
	ids := []any{identity}
	err := r.walkHashCopies(ctx, func(c Copy) error {
		if c.Identity == identity {
			ids = append(ids, c.entry)
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	var forgotten int64
	forget := func(script redisconn.Script, key string, args ...any) error {
		keys := r.withAside(key)
		if len(keys) < 2 {
			return nil
		}
		n, err := r.conn.EvalWrite(ctx, script, []redisconn.Call{{Keys: keys, Args: args}})[0].Int64()
		if redisconn.Unanswered(err) {
			return fmt.Errorf("forgetting the copy of session %s: it may be forgotten, as no reply came: %w", escape.Quote(identity), err)
		}
		if err != nil && !isWrongType(err) {
			return fmt.Errorf("forgetting the copy of session %s: %w", escape.Quote(identity), err)
		}
		forgotten += n
		return nil
	}
	for _, key := range r.ownKeys(identity) {
		if err := forget(keyForgetScript, key); err != nil {
			return forgotten > 0, err
		}
	}
	if r.looksForAny(false) {
		err = forget(hashForgetScript, r.o.Key, ids...)
	}
	return forgotten > 0, err
}
