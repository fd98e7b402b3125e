package buffer

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// CounterKey is the counter that producers take stream session ids from. It is
// theirs alone: we only ever read it.
const CounterKey = "lastStreamSessionId"

// Counter is what the counter of stream session ids holds, and whether there is
// one.
func (b *Buffer) Counter(ctx context.Context) (text string, there bool, err error) {
	text, err = b.rdb.Get(ctx, CounterKey).Result()
	if errors.Is(err, redis.Nil) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("reading the counter %q: %w", CounterKey, err)
	}
	return text, true, nil
}
