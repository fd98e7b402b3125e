package redisconn

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// MaxClockDifference is how far Redis's clock and this machine's may be apart.
// Past it one of them is wrong, and an age computed from either may empty a
// stream.
const MaxClockDifference = time.Hour

// Now is Redis's time. In a cluster it is the earliest of all masters', so
// that no entry looks older than its own node would say. It fails with
// [ErrClock], beside the time, when the clocks disagree.
func (c *Conn) Now(ctx context.Context) (time.Time, error) {
	var earliest time.Time
	var apart time.Duration
	err := c.Masters(ctx, func(ctx context.Context, node *redis.Client) error {
		now, err := node.Time(ctx).Result()
		if err != nil {
			return fmt.Errorf("asking Redis for the time: %w", err)
		}
		if earliest.IsZero() || now.Before(earliest) {
			earliest = now
		}
		apart = max(apart, c.clock().Sub(now).Abs())
		return nil
	})
	if err == nil && apart > MaxClockDifference {
		err = fmt.Errorf("%w by %s: nothing is removed by age", ErrClock, apart.Round(time.Second))
	}
	return earliest.UTC(), err
}
