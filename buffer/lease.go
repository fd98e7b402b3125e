package buffer

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrLeaseUnwritable is returned when Redis has no memory left for the lease.
var ErrLeaseUnwritable = errors.New("the lease cannot be written: Redis is out of memory")

// stateLease is a String with the token of the replica that leads.
const stateLease = "lease"

// Lease is the one key by which of several replicas one works. Nothing that is
// removed depends on it.
type Lease struct{ b *Buffer }

// Lease is the buffer's lease.
func (b *Buffer) Lease() Lease { return Lease{b} }

// KEYS[1] lease; ARGV[1] token, ARGV[2] ttl in ms; returns 1 if it was ours.
var renewScript = newScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
`)

// KEYS[1] lease; ARGV[1] token; returns 1 if it was ours.
var releaseScript = newScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
`)

func (l Lease) key() string { return l.b.stateKey(stateLease) }

// Acquire takes the lease for ttl if nobody holds it.
func (l Lease) Acquire(ctx context.Context, token string, ttl time.Duration) (bool, error) {
	ok, err := l.b.rdb.SetNX(ctx, l.key(), token, ttl).Result()
	if ClassOf(err) == ClassOOM {
		return false, ErrLeaseUnwritable
	}
	if err != nil {
		return false, fmt.Errorf("taking the lease: %w", err)
	}
	return ok, nil
}

// Renew prolongs the lease by ttl; false if it is no longer token's.
func (l Lease) Renew(ctx context.Context, token string, ttl time.Duration) (bool, error) {
	n, err := l.b.evalWrite(ctx, renewScript, []scriptCall{{l.key(), []any{token, ttl.Milliseconds()}}})[0].Int()
	if ClassOf(err) == ClassOOM {
		return false, ErrLeaseUnwritable
	}
	if err != nil {
		return false, fmt.Errorf("renewing the lease: %w", err)
	}
	return n == 1, nil
}

// Release gives the lease up if it is token's.
func (l Lease) Release(ctx context.Context, token string) error {
	if err := l.b.evalWrite(ctx, releaseScript, []scriptCall{{l.key(), []any{token}}})[0].Err(); err != nil {
		return fmt.Errorf("releasing the lease: %w", err)
	}
	return nil
}

// Holder is the token that holds the lease, empty if nobody does.
func (l Lease) Holder(ctx context.Context) (string, error) {
	token, err := l.b.rdb.Get(ctx, l.key()).Result()
	if err != nil && ClassOf(err) != "" {
		return "", fmt.Errorf("reading the lease: %w", err)
	}
	return token, nil
}
