package cli

import (
	"context"
	"errors"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/schedule"
)

// lease lets the scheduler use the buffer's lease.
type lease struct{ buffer.Lease }

// Acquire implements [schedule.Lease].
func (l lease) Acquire(ctx context.Context, token string, ttl time.Duration) (bool, error) {
	ok, err := l.Lease.Acquire(ctx, token, ttl)
	if errors.Is(err, buffer.ErrLeaseUnwritable) {
		err = unwritableError{err}
	}
	return ok, err
}

// unwritableError is the buffer's error as the scheduler knows it.
type unwritableError struct{ error }

// Is says that it is the scheduler's.
func (unwritableError) Is(target error) bool { return target == schedule.ErrLeaseUnwritable }
