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

// Now is Redis's time for who removes something by its age. It fails with
// [ErrClock], beside the time, when the clocks disagree.
func (c *Conn) Now(ctx context.Context) (time.Time, error) {
	now, apart, err := c.time(ctx)
	if err == nil && apart > MaxClockDifference {
		err = fmt.Errorf("%w by %s: nothing is removed by age", ErrClock, apart.Round(time.Second))
	}
	return now, err
}

// Time is Redis's time for who removes nothing by it.
func (c *Conn) Time(ctx context.Context) (time.Time, error) {
	now, _, err := c.time(ctx)
	return now, err
}

// time is Redis's time, and how far this machine's is apart from it at most. In a
// cluster it is the earliest of all masters', so that no entry looks older than its own
// node would say.
func (c *Conn) time(ctx context.Context) (earliest time.Time, apart time.Duration, err error) {
	err = c.Masters(ctx, func(ctx context.Context, node *redis.Client) error {
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
	return earliest.UTC(), apart, err
}
