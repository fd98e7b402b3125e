package buffer

import (
	"context"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// addHooks puts the observer and, for a read-only buffer, the guard between
// go-redis's commands and the connection.
func addHooks(rdb redis.UniversalClient, o Options) {
	if o.OnError != nil {
		rdb.AddHook(observer{o.OnError})
	}
	if o.ReadOnly {
		rdb.AddHook(readGuard{})
	}
}

// observer counts what goes wrong, once a command, or once a pipeline if the
// connection broke under it.
type observer struct{ tell func(Class) }

func (observer) DialHook(next redis.DialHook) redis.DialHook { return next }

func (o observer) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if class := ClassOf(err); class != "" {
			o.tell(class)
		}
		return err
	}
}

func (o observer) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		if err == nil {
			return nil
		}
		if IsLost(err) {
			if class := ClassOf(err); class != "" {
				o.tell(class)
			}
			return err
		}
		for _, cmd := range cmds {
			if class := ClassOf(cmd.Err()); class != "" {
				o.tell(class)
			}
		}
		return err
	}
}

// readGuard is what makes plan and dry runs safe: whatever the code above it
// does, no command that could write reaches Redis. It knows the commands that
// read; all others are refused.
type readGuard struct{}

var readCommands = map[string]bool{
	"hello": true, "auth": true, "select": true, "ping": true, "time": true, "info": true, "config get": true,
	"cluster slots": true, "cluster shards": true, "cluster info": true, "command": true, "readonly": true,
	"type": true, "exists": true, "scan": true, "sscan": true, "hscan": true, "zscan": true, "scard": true,
	"sismember": true, "smismember": true, "hget": true, "hmget": true, "hlen": true, "hstrlen": true, "hexists": true,
	"zmscore": true, "zcard": true, "get": true, "mget": true, "hgetall": true, "memory usage": true,
	"xlen": true, "xrange": true, "xrevrange": true, "xread": true, "xinfo stream": true, "xinfo groups": true,
	"xinfo consumers": true, "xpending": true, "evalsha_ro": true, "eval_ro": true, "script exists": true,
}

func isRead(cmd redis.Cmder) bool {
	if cmd.Name() == "eval" || cmd.Name() == "evalsha" {
		// Only [Buffer.evalRead] marks a script so; before Redis 7.0 there is
		// no EVAL_RO that would have the server enforce it.
		_, marked := cmd.(*readScript)
		return marked
	}
	if readCommands[cmd.Name()] {
		return true
	}
	args := cmd.Args()
	return len(args) > 1 && readCommands[cmd.Name()+" "+strings.ToLower(fmt.Sprint(args[1]))]
}

func (readGuard) DialHook(next redis.DialHook) redis.DialHook { return next }

func (readGuard) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if !isRead(cmd) {
			err := fmt.Errorf("%s: %w", cmd.Name(), ErrReadOnly)
			cmd.SetErr(err)
			return err
		}
		return next(ctx, cmd)
	}
}

func (readGuard) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			if !isRead(cmd) {
				err := fmt.Errorf("%s: %w", cmd.Name(), ErrReadOnly)
				for _, c := range cmds {
					c.SetErr(err)
				}
				return err
			}
		}
		return next(ctx, cmds)
	}
}
