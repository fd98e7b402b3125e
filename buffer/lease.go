package buffer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// ErrLeaseUnwritable is returned when nobody can have the lease, as Redis has no
// memory left for it or its key holds something else.
var ErrLeaseUnwritable = errors.New("the lease cannot be written")

// stateLease is a String with the token of the replica that leads.
const stateLease = "lease"

// Lease is the one key by which of several replicas one works. Nothing that is
// removed depends on it.
type Lease struct{ b *Buffer }

// Lease is the buffer's lease.
func (b *Buffer) Lease() Lease { return Lease{b} }

// maxLease is longer than any lease that still has an owner: what lasts longer
// was written by no replica, or by one whose setting nobody can wait for.
const maxLease = 24 * time.Hour

// longLease is how many times our own a lease of others lasts that is said.
const longLease = 4

// What acquireScript returns beside the type of a key that is no String.
const (
	leaseTaken   = "taken"
	leaseHeld    = "held"
	leaseEndless = "endless" // held, and from now on for ttl
)

// A lease without an end gets one instead of a new owner: if its owner lives, it
// renews it as ever. PEXPIRE works out of memory too.
//
// KEYS[1] lease; ARGV[1] token, ARGV[2] ttl in ms, ARGV[3] maxLease in ms
// returns what came of it, and for how many ms somebody else holds the lease
var acquireScript = redisconn.NewScript(`
local left = redis.call('PTTL', KEYS[1])
if left == -2 then
	redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
	return {'taken', 0}
end
local kind = redis.call('TYPE', KEYS[1])
if type(kind) == 'table' then kind = kind.ok end
if kind ~= 'string' then return {kind, 0} end
if left >= 0 and left <= tonumber(ARGV[3]) then return {'held', left} end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {'endless', 0}
`)

// KEYS[1] lease; ARGV[1] token, ARGV[2] ttl in ms; returns 1 if it was ours.
// What is no String is not ours.
var renewScript = redisconn.NewScript(`
if redis.pcall('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
`)

// KEYS[1] lease; ARGV[1] token; returns 1 if it was ours.
var releaseScript = redisconn.NewScript(`
if redis.pcall('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
`)

func (l Lease) key() string { return l.b.stateKey(stateLease) }

// Acquire takes the lease for ttl if nobody holds it. A lease that would not end
// is given an end, so that a later call takes it.
func (l Lease) Acquire(ctx context.Context, token string, ttl time.Duration) (bool, error) {
	args := []any{token, ttl.Milliseconds(), max(maxLease, 2*ttl).Milliseconds()}
	reply, err := l.b.conn.EvalWrite(ctx, acquireScript, []redisconn.Call{redisconn.OnKey(l.key(), args...)})[0].Slice()
	if err == nil && len(reply) != 2 {
		err = fmt.Errorf("%w: %d values of a lease", redisconn.ErrIncomplete, len(reply))
	}
	var outcome string
	var left int64
	if err == nil {
		outcome, _ = reply[0].(string)
		left, _ = reply[1].(int64)
	}
	switch {
	case redisconn.ClassOf(err) == redisconn.ClassOOM:
		return false, fmt.Errorf("%w: Redis is out of memory", ErrLeaseUnwritable)
	case err != nil:
		return false, fmt.Errorf("taking the lease: %w", err)
	case outcome == leaseTaken:
		return true, nil
	case outcome == leaseEndless:
		l.b.log.Warn("lease had no end", "key", l.key(), "ends_in", ttl)
	case outcome == leaseHeld:
		if held := time.Duration(left) * time.Millisecond; held > longLease*ttl {
			l.b.longLease.Do(func() {
				l.b.log.Warn("lease ends much later than LEASE_TTL", "key", l.key(), "ends_in", held, "remedy", "remove the key if whoever wrote it is gone")
			})
		}
	default:
		return false, fmt.Errorf("%w: the key %s is a %s and not a string (remove it, or choose another STATE_PREFIX)", ErrLeaseUnwritable, Escape(l.key()), outcome)
	}
	return false, nil
}

// Holder is who holds the lease, as its token begins; empty where nobody does, or
// where the token has no name.
func (l Lease) Holder(ctx context.Context) (string, error) {
	token, err := l.b.rdb.Get(ctx, l.key()).Result()
	switch {
	case errors.Is(err, redis.Nil) || redisconn.ClassOf(err) == redisconn.ClassWrongType:
		return "", nil
	case err != nil:
		return "", fmt.Errorf("reading the lease: %w", err)
	}
	name, _, named := strings.Cut(token, " ")
	if !named {
		return "", nil
	}
	return name, nil
}

// Renew prolongs the lease by ttl; false if it is no longer token's.
func (l Lease) Renew(ctx context.Context, token string, ttl time.Duration) (bool, error) {
	n, err := l.b.conn.EvalWrite(ctx, renewScript, []redisconn.Call{redisconn.OnKey(l.key(), token, ttl.Milliseconds())})[0].Int()
	if err != nil {
		return false, fmt.Errorf("renewing the lease: %w", err)
	}
	return n == 1, nil
}

// Release gives the lease up if it is token's.
func (l Lease) Release(ctx context.Context, token string) error {
	if err := l.b.conn.EvalWrite(ctx, releaseScript, []redisconn.Call{redisconn.OnKey(l.key(), token)})[0].Err(); err != nil {
		return fmt.Errorf("releasing the lease: %w", err)
	}
	return nil
}
