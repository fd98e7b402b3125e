package redisconn

import (
	"context"
	"errors"
	"net"

	"github.com/redis/go-redis/v9"
)

// This file sends commands that must not be carried out twice. Where a connection
// breaks before the reply, go-redis would send them again, and the second reply says
// that there was nothing left to remove.

// onceCmd is a command that go-redis sends once. What was answered stays so, whatever
// becomes of the rest of its pipeline.
type onceCmd struct {
	redis.Cmder
	answered bool
}

// NoRetry tells go-redis.
func (*onceCmd) NoRetry() bool { return true }

// SetErr implements [redis.Cmder].
func (c *onceCmd) SetErr(err error) {
	if settle(&c.answered, err) {
		c.Cmder.SetErr(err)
	}
}

// settle reports whether an error is the command's own. Each reply that was read is
// noted first, without an error; the pipeline's error is then given to all that have
// none.
func settle(answered *bool, err error) bool {
	own := !*answered || err == nil || errors.Is(err, ErrIncomplete)
	*answered = *answered || err == nil
	return own
}

// Once sends commands in one pipeline, none of them twice. Each holds its own error;
// [Unanswered] says whether it may have been carried out nevertheless.
func (c *Conn) Once(ctx context.Context, cmds []redis.Cmder) {
	if err := ctx.Err(); err != nil {
		_ = refuse(cmds, err)
		return
	}
	ctx, cancel := uncancelled(ctx)
	defer cancel()
	pipe := c.rdb.Pipeline()
	for _, cmd := range cmds {
		_ = pipe.Process(ctx, &onceCmd{Cmder: cmd})
	}
	_, _ = pipe.Exec(ctx)
}

// uncancelled is a context that keeps its deadline alone: what was sent is waited for,
// though the run is told to end.
func uncancelled(ctx context.Context) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithDeadline(context.WithoutCancel(ctx), deadline)
	}
	return context.WithoutCancel(ctx), func() {}
}

// Unanswered reports whether an error leaves open if the command was carried out: it
// was sent, or may have been, and no reply came.
func Unanswered(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, ErrReadOnly) || errors.Is(err, ErrReplica) {
		return false
	}
	if _, replied := errors.AsType[redis.Error](err); replied {
		return false
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return false
	}
	_, unsent := errors.AsType[unsentError](err)
	return !unsent && !errors.Is(err, redis.ErrPoolTimeout) && !errors.Is(err, redis.ErrClosed)
}

// unsentError is why there is no connection.
type unsentError struct{ error }

func (e unsentError) Unwrap() error { return e.error }

// markUnsent marks an error twice: of what a handshake fails with go-redis takes one
// wrapping off.
func markUnsent(err error) error { return unsentError{unsentError{err}} }

// isHandshakeOf reports whether go-redis sends a command by itself, before it gives a
// new connection to anybody.
func isHandshakeOf(cmd redis.Cmder) bool {
	switch cmd.Name() {
	case "hello", "auth", "select", "client":
		return true
	}
	return false
}
