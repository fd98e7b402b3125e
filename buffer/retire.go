package buffer

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// unlinkScript removes a stream that is still as it was judged: nothing was
// added to it, and no consumer of a group became active.
//
// KEYS[1] stream; ARGV[1] last id, ARGV[2] ms that every consumer must have
// been idle for
// returns 1 if removed, 0 if it changed or is gone
var unlinkScript = newScript(`
local kind = redis.call('TYPE', KEYS[1])
kind = kind.ok or kind
if kind ~= 'stream' then return 0 end
local info = redis.call('XINFO', 'STREAM', KEYS[1])
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' and info[i + 1] ~= ARGV[1] then return 0 end
end
` + activeLua + `
if active >= 0 and active < tonumber(ARGV[2]) then return 0 end
redis.call('UNLINK', KEYS[1])
return 1
`)

// Retirement is how an attempt to retire a stream ended.
type Retirement int

// The ends of a retirement.
const (
	// Kept: the stream changed since it was judged, and is untouched.
	Kept Retirement = iota
	// Retired: the key is gone, the name is remembered and out of the set.
	Retired
	// RetiredListed: the key is gone, but its name could not be remembered
	// and so stays in the set, for a later run.
	RetiredListed
	// CameBack: the key was removed, but a producer made it anew at once, and
	// its name is in the set.
	CameBack
)

// Retire removes a dead stream, and then its name, in an order that can be
// broken off anywhere: remember the name, remove the key if its last id is
// still lastID and no group's consumer was active for idle, take the name
// from the set, look whether the key has returned, and put the name back if so.
func (b *Buffer) Retire(ctx context.Context, stream string, lastID ID, idle time.Duration) (Retirement, error) {
	remembered, err := b.remember(ctx, stream)
	if err != nil {
		return Kept, err
	}
	call := scriptCall{key: b.names.StreamKey(stream), args: []any{lastID.String(), idle.Milliseconds()}}
	removed, err := b.evalWrite(ctx, unlinkScript, []scriptCall{call})[0].Int()
	switch {
	case err != nil:
		return Kept, fmt.Errorf("removing stream %s: %w", Quote(stream), err)
	case removed == 0:
		return Kept, b.takeBack(ctx, stream, remembered)
	case remembered == nil:
		return RetiredListed, nil
	}
	return b.unlist(ctx, stream)
}

// DropName takes the name of a stream that has no key from the set; the name
// is remembered like a retired stream's, and stays where it cannot be.
func (b *Buffer) DropName(ctx context.Context, stream string) (Retirement, error) {
	remembered, err := b.remember(ctx, stream)
	if err != nil || remembered == nil {
		return Kept, err
	}
	back, err := b.keyExists(ctx, stream)
	if err != nil {
		return Kept, err
	}
	if back {
		return Kept, b.takeBack(ctx, stream, remembered)
	}
	return b.unlist(ctx, stream)
}

// unlist is the second half of a retirement. The set and the stream are two
// keys, in a cluster on two nodes, so the key is looked for after the name has
// gone: whoever comes second sees the other.
func (b *Buffer) unlist(ctx context.Context, stream string) (Retirement, error) {
	if err := b.rdb.SRem(ctx, b.names.Streams, stream).Err(); err != nil {
		return RetiredListed, fmt.Errorf("taking the name of stream %s from %q: %w", Quote(stream), b.names.Streams, err)
	}
	back, err := b.keyExists(ctx, stream)
	if err != nil || !back {
		// On an error the name is remembered: a later run restores it.
		return Retired, err
	}
	return CameBack, b.Restore(ctx, stream)
}

func (b *Buffer) keyExists(ctx context.Context, stream string) (bool, error) {
	n, err := b.rdb.Exists(ctx, b.names.StreamKey(stream)).Result()
	if err != nil {
		return false, fmt.Errorf("looking for stream %s: %w", Quote(stream), err)
	}
	return n > 0, nil
}

// Restore puts the name of a stream that has come back into the set, and
// forgets that it was retired.
func (b *Buffer) Restore(ctx context.Context, stream string) error {
	// Asked for first: once the name is listed, another keeper may retire the
	// stream anew, and what that one notes must stay.
	retired, err := b.scores(ctx, stateRetired, []string{stream})
	if err != nil {
		return err
	}
	if err := b.rdb.SAdd(ctx, b.names.Streams, stream).Err(); err != nil {
		return fmt.Errorf("putting the name of stream %s back into %q: %w", Quote(stream), b.names.Streams, err)
	}
	if retired[0].IsZero() {
		return nil
	}
	return b.forget(ctx, stream, retired[0])
}

// Returned gives, a page at a time, the remembered names whose stream has a
// key again.
func (b *Buffer) Returned(ctx context.Context, visit func(names []string) error) error {
	return b.walkState(ctx, stateRetired, func(members []member) error {
		pipe := b.rdb.Pipeline()
		cmds := make([]*redis.IntCmd, len(members))
		for i, m := range members {
			cmds[i] = pipe.Exists(ctx, b.names.StreamKey(m.name))
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("looking for retired streams that came back: %w", err)
		}
		var back []string
		for i, m := range members {
			if cmds[i].Val() > 0 && b.Owns(m.name) {
				back = append(back, m.name)
			}
		}
		if len(back) == 0 {
			return nil
		}
		return visit(back)
	})
}
