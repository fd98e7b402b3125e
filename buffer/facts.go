package buffer

import (
	"context"
	"fmt"
	"strconv"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// StateFields is a small Hash of numbers under the state prefix.
type StateFields map[string]int64

// Left is what the last complete clean-up left behind.
func (b *Buffer) Left(ctx context.Context) (StateFields, error) { return b.facts(ctx, stateLeft) }

// SetLeft notes what a clean-up left behind. Where Redis has no memory left for
// it, nothing is known: an older note would make the registry look shrunken.
func (b *Buffer) SetLeft(ctx context.Context, f StateFields) error {
	err := b.setFacts(ctx, stateLeft, f)
	switch redisconn.ClassOf(err) {
	case redisconn.ClassOOM:
		return b.setFacts(ctx, stateLeft, nil)
	case redisconn.ClassWrongType:
		return nil
	}
	return err
}

// TrimPolicy is the policy under which was trimmed last, empty if not known.
func (b *Buffer) TrimPolicy(ctx context.Context) (StateFields, error) {
	return b.facts(ctx, statePolicy)
}

// SetTrimPolicy notes the policy under which is trimmed. At maxmemory it is
// not noted.
func (b *Buffer) SetTrimPolicy(ctx context.Context, f StateFields) error {
	if err := b.setFacts(ctx, statePolicy, f); !takesNoNote(err) {
		return err
	}
	return nil
}

// Held is the decision that the guard holds back, empty if there is none.
func (b *Buffer) Held(ctx context.Context) (StateFields, error) { return b.facts(ctx, stateBrake) }

// SetHeld notes the decision that the guard holds back; empty when it is released.
// It reports false if that cannot be noted.
func (b *Buffer) SetHeld(ctx context.Context, f StateFields) (bool, error) {
	err := b.setFacts(ctx, stateBrake, f)
	if takesNoNote(err) {
		return false, nil
	}
	return err == nil, err
}

// dropFactsScript removes a Hash of ours; what holds another type stays.
//
// KEYS[1] the Hash
var dropFactsScript = redisconn.NewScript(`
local kind = redis.call('TYPE', KEYS[1])
if (kind.ok or kind) == 'hash' then redis.call('UNLINK', KEYS[1]) end
return 1
`)

func (b *Buffer) facts(ctx context.Context, state string) (StateFields, error) {
	all, err := b.rdb.HGetAll(ctx, b.stateKey(state)).Result()
	if redisconn.ClassOf(err) == redisconn.ClassWrongType {
		return StateFields{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", b.stateKey(state), err)
	}
	f := make(StateFields, len(all))
	for k, v := range all {
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			f[k] = n
		}
	}
	return f, nil
}

// setFactsScript writes fields of a Hash of ours.
//
// KEYS[1] the Hash; ARGV for how many ms to keep it, field, value, …
var setFactsScript = redisconn.NewScript(`
for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
`)

func (b *Buffer) setFacts(ctx context.Context, state string, f StateFields) error {
	key := b.stateKey(state)
	var err error
	if len(f) == 0 {
		err = b.conn.EvalWrite(ctx, dropFactsScript, []redisconn.Call{redisconn.OnKey(key)})[0].Err()
	} else {
		args := []any{KeepState.Milliseconds()}
		for k, v := range f {
			args = append(args, k, v)
		}
		err = b.conn.EvalWrite(ctx, setFactsScript, []redisconn.Call{redisconn.OnKey(key, args...)})[0].Err()
	}
	if err != nil {
		return fmt.Errorf("writing %q: %w", key, err)
	}
	return nil
}
