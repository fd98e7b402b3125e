package schedule

import (
	"context"
	"errors"
	"time"
)

// ErrLeaseUnwritable says that the store cannot write the lease, because it is out of
// memory or something else lies in its place: nobody can get it, so whoever has it
// goes on, and if nobody has it, running without is right, for the jobs never
// depend on being alone.
var ErrLeaseUnwritable = errors.New("nobody can hold the lease")

// Lease is a key in a shared store that at most one token holds, until its time
// to live is over. Every call returns when its context ends.
type Lease interface {
	// Acquire takes the lease for ttl if nobody holds it, and reports whether it did.
	// ErrLeaseUnwritable means that nobody holds it and it cannot be
	// written; where another holds it the answer is false, written or not.
	// A lease that would never end is given an end.
	Acquire(ctx context.Context, token string, ttl time.Duration) (bool, error)
	// Renew makes the lease last ttl from now if token holds it, and reports
	// whether it does.
	Renew(ctx context.Context, token string, ttl time.Duration) (bool, error)
	// Release gives the lease up if token holds it.
	Release(ctx context.Context, token string) error
}

// LeaseState says how this replica stands to the lease.
type LeaseState string

const (
	// LeaseNone is without a lease: this replica leads always.
	LeaseNone LeaseState = "none"
	// LeaseStandby is a follower: another leads, or the store does not answer.
	LeaseStandby LeaseState = "standby"
	// LeaseHeld is the leader.
	LeaseHeld LeaseState = "held"
	// LeaseUnwritable is a leader without a lease, for the time that the store cannot
	// write one. There may be several.
	LeaseUnwritable LeaseState = "unwritable"
)
