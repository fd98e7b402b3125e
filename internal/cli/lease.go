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

// Acquire implements [schedule.Lease]. Out of memory, Redis refuses to write
// the lease before it looks whether somebody holds it, so that is asked.
func (l lease) Acquire(ctx context.Context, token string, ttl time.Duration) (bool, error) {
	ok, err := l.Lease.Acquire(ctx, token, ttl)
	if !errors.Is(err, buffer.ErrLeaseUnwritable) {
		return ok, err
	}
	holder, err := l.Holder(ctx)
	if err != nil {
		return false, err
	}
	if holder != "" && holder != token {
		return false, nil
	}
	return false, schedule.ErrLeaseUnwritable
}

// Renew implements [schedule.Lease].
func (l lease) Renew(ctx context.Context, token string, ttl time.Duration) (bool, error) {
	ok, err := l.Lease.Renew(ctx, token, ttl)
	if errors.Is(err, buffer.ErrLeaseUnwritable) {
		return false, schedule.ErrLeaseUnwritable
	}
	return ok, err
}
