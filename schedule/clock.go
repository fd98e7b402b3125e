package schedule

import (
	"context"
	"math/rand/v2"
	"time"
)

// tick bounds every sleep, so that a clock that was set, or a machine that was
// suspended, is noticed within it.
const tick = time.Second

// wallClock is the time of day without the monotonic reading, which would win
// every comparison and hide that the clock was set.
func wallClock() time.Time { return time.Now().UTC().Round(0) }

// stamp is an instant on both clocks.
type stamp struct{ steady, wall time.Time }

func (s *Scheduler) stamp() stamp { return stamp{steady: time.Now(), wall: s.wall()} }

// since is the time since then by whichever clock counted more: the monotonic one
// stands still while a machine is suspended, the other one can be set back.
func (s *Scheduler) since(then stamp) time.Duration {
	return max(time.Since(then.steady), s.wall().Sub(then.wall))
}

// sleep waits for d and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	return ctx.Err() == nil
}

// within is a random duration in [0, d).
func within(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d)
}
