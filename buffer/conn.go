package buffer

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// What the connection is made of, under the names that this package uses.
type (
	// Connection says how to reach Redis.
	Connection = redisconn.Connection
	// Class is the kind of an error.
	Class = redisconn.Class
	// Server is what Redis says of itself.
	Server = redisconn.Server

	script = redisconn.Script
)

// Defaults and bounds of the connection.
const (
	DefaultTimeout     = redisconn.DefaultTimeout
	MinVersion         = redisconn.MinVersion
	MaxClockDifference = redisconn.MaxClockDifference
)

// The classes of errors.
const (
	ClassReadOnly   = redisconn.ClassReadOnly
	ClassLoading    = redisconn.ClassLoading
	ClassOOM        = redisconn.ClassOOM
	ClassAuth       = redisconn.ClassAuth
	ClassTimeout    = redisconn.ClassTimeout
	ClassConnection = redisconn.ClassConnection
	ClassMoved      = redisconn.ClassMoved
	ClassWrongType  = redisconn.ClassWrongType
	ClassNoScript   = redisconn.ClassNoScript
	ClassClock      = redisconn.ClassClock
	ClassOther      = redisconn.ClassOther
)

// Classes lists every class, for metrics that start at 0.
var Classes = redisconn.Classes

// Errors of the connection.
var (
	ErrClock      = redisconn.ErrClock
	ErrReadOnly   = redisconn.ErrReadOnly
	ErrResharding = redisconn.ErrResharding
	ErrTooOld     = redisconn.ErrTooOld
)

// ClassOf sorts an error into its class; see [redisconn.ClassOf].
func ClassOf(err error) Class { return redisconn.ClassOf(err) }

// IsLost reports whether going on is of no use; see [redisconn.IsLost].
func IsLost(err error) bool { return redisconn.IsLost(err) }

func newScript(source string) script { return redisconn.NewScript(source) }

// scriptCall is one call of a script: its key and its arguments.
type scriptCall struct {
	key  string
	args []any
}

// moreKeys are keys beside the first, given in front of the arguments; in a
// cluster there can be none.
type moreKeys []string

func (c scriptCall) call() redisconn.Call {
	keys, args := []string{c.key}, c.args
	if len(args) > 0 {
		if more, ok := args[0].(moreKeys); ok {
			keys, args = append(keys, more...), args[1:]
		}
	}
	return redisconn.Call{Keys: keys, Args: args}
}

func allCalls(calls []scriptCall) []redisconn.Call {
	all := make([]redisconn.Call, len(calls))
	for i, c := range calls {
		all[i] = c.call()
	}
	return all
}

func (b *Buffer) evalRead(ctx context.Context, s script, calls []scriptCall) []*redis.Cmd {
	return b.conn.EvalRead(ctx, s, allCalls(calls))
}

func (b *Buffer) evalWrite(ctx context.Context, s script, calls []scriptCall) []*redis.Cmd {
	return b.conn.EvalWrite(ctx, s, allCalls(calls))
}

func (b *Buffer) masters(ctx context.Context, visit func(ctx context.Context, node *redis.Client) error) error {
	return b.conn.Masters(ctx, visit)
}

func (b *Buffer) width(ctx context.Context) int { return b.conn.Width(ctx) }

func (b *Buffer) nodeName(node *redis.Client) string { return b.conn.NodeName(node) }

func walkPages[T any](ctx context.Context,
	fetch func(ctx context.Context, cursor uint64) (page T, next uint64, err error),
	visit func(page T) error,
) error {
	return redisconn.WalkPages(ctx, fetch, visit)
}

func walkKeyspace[T any](ctx context.Context, b *Buffer, prefix, kind string,
	read func(ctx context.Context, keys []string) ([]T, error), visit func([]T) error,
) error {
	return redisconn.WalkKeyspace(ctx, b.conn, prefix, kind, read, visit)
}
