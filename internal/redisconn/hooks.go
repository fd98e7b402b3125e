package redisconn

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// hooks stand between go-redis's commands and the connection to one server,
// the outermost first.
func (o Options) hooks(master *masterOnly) []redis.Hook {
	hooks := []redis.Hook{bound{o.Connection.Timeout}, missing{o.ReadOnly}}
	if o.OnError != nil {
		hooks = append(hooks, observer{o.OnError})
	}
	if o.ReadOnly {
		hooks = append(hooks, readGuard{})
	}
	if master != nil {
		hooks = append(hooks, master)
	}
	return append(hooks, answered{})
}

// bound lets a command, with all its retries, take no longer than the one
// timeout there is.
type bound struct{ timeout time.Duration }

func (bound) DialHook(next redis.DialHook) redis.DialHook { return next }

func (b bound) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		ctx, cancel := context.WithTimeout(ctx, b.timeout)
		defer cancel()
		return inWords(cmd, next(ctx, cmd))
	}
}

func (b bound) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		ctx, cancel := context.WithTimeout(ctx, b.timeout)
		defer cancel()
		err := next(ctx, cmds)
		return each(cmds, err, inWords)
	}
}

// inWords says of a bare deadline what was not in time.
func inWords(cmd redis.Cmder, err error) error {
	if err == context.DeadlineExceeded { //nolint:errorlint // only the bare one says too little
		return fmt.Errorf("no answer to %s in time: %w", strings.ToUpper(commandName(cmd)), err)
	}
	return err
}

// each lets say improve the errors in a pipeline. In a cluster a pipeline has
// none of its own where only some of its commands fail.
func each(cmds []redis.Cmder, err error, say func(redis.Cmder, error) error) error {
	for _, cmd := range cmds {
		if failed := cmd.Err(); failed != nil {
			cmd.SetErr(say(cmd, failed))
		}
	}
	if err == nil {
		return nil
	}
	return say(cmds[0], err)
}

// missing names the right that the user lacks.
type missing struct{ reads bool }

func (missing) DialHook(next redis.DialHook) redis.DialHook { return next }

func (m missing) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { return m.nameRight(cmd, next(ctx, cmd)) }
}

func (m missing) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := each(cmds, next(ctx, cmds), m.nameRight)
		blameAsking(cmds)
		return err
	}
}

// blameAsking gives a command that was redirected, because the ASKING before it
// was denied, the reason in the place of the redirection.
func blameAsking(cmds []redis.Cmder) {
	for i := 1; i < len(cmds); i++ {
		denied := cmds[i-1].Err()
		if cmds[i-1].Name() == "asking" && ClassOf(denied) == ClassAuth && ClassOf(cmds[i].Err()) == ClassMoved {
			cmds[i].SetErr(denied)
		}
	}
}

func (m missing) nameRight(cmd redis.Cmder, err error) error {
	if right := missingRight(cmd, err); right != "" {
		prints := "streamkeeper acl"
		if m.reads {
			prints += " --read-only"
		}
		return fmt.Errorf("the Redis user lacks the right %s (%s prints all that are needed): %w", right, prints, err)
	}
	return err
}

// commandName is a command with its subcommand, if it has any.
func commandName(cmd redis.Cmder) string {
	switch name := cmd.Name(); name {
	case "config", "cluster", "memory", "xinfo", "script", "client", "command", "sentinel":
		if args := cmd.Args(); len(args) > 1 {
			return name + " " + strings.ToLower(fmt.Sprint(args[1]))
		}
	}
	return cmd.Name()
}

// observer counts what goes wrong, once a command, or once a pipeline if the
// connection broke under it.
type observer struct{ tell func(Class) }

// dispensable are commands that may be denied at the cost of a feature.
var dispensable = map[string]bool{"info": true, "config get": true, "client no-touch": true}

func (o observer) see(cmd redis.Cmder, err error) {
	class := ClassOf(err)
	if class == "" || class == ClassAuth && dispensable[commandName(cmd)] {
		return
	}
	o.tell(class)
}

func (observer) DialHook(next redis.DialHook) redis.DialHook { return next }

func (o observer) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		o.see(cmd, err)
		return err
	}
}

func (o observer) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		if _, ok := errors.AsType[redis.Error](err); err != nil && !ok {
			o.see(cmds[0], err)
			return err
		}
		for _, cmd := range cmds {
			o.see(cmd, cmd.Err())
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
	"cluster slots": true, "client no-touch": true, "asking": true, "command": true, "readonly": true,
	"type": true, "exists": true, "scan": true, "sscan": true, "hscan": true, "zscan": true, "scard": true,
	"sismember": true, "smismember": true, "hget": true, "hmget": true, "hlen": true, "hstrlen": true, "hexists": true,
	"zmscore": true, "zcard": true, "pttl": true, "get": true, "mget": true, "hgetall": true, "memory usage": true,
	"xlen": true, "xrange": true, "xrevrange": true, "xread": true, "xinfo stream": true, "xinfo groups": true,
	"xinfo consumers": true, "xpending": true, "evalsha_ro": true, "eval_ro": true, "script exists": true,
}

func isRead(cmd redis.Cmder) bool {
	if cmd.Name() == "eval" || cmd.Name() == "evalsha" {
		// Only [Conn.EvalRead] marks a script so; before Redis 7.0 there is
		// no EVAL_RO that would have the server enforce it.
		call, ok := cmd.(*scriptCmd)
		return ok && call.reads
	}
	return readCommands[commandName(cmd)]
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
		if write := firstWrite(cmds); write != nil {
			return refuse(cmds, fmt.Errorf("%s: %w", write.Name(), ErrReadOnly))
		}
		return next(ctx, cmds)
	}
}

// firstWrite is the first command of a pipeline that is none of those that read, or
// nil. The commands of a pipeline are mostly alike, so a word that alone says that a
// command reads is looked up once for all that follow with it.
func firstWrite(cmds []redis.Cmder) redis.Cmder {
	var reads string
	for _, cmd := range cmds {
		word, _ := cmd.Args()[0].(string)
		switch {
		case word != "" && word == reads:
		case !isRead(cmd):
			return cmd
		case readCommands[word]:
			reads = word
		}
	}
	return nil
}

// refuse gives all commands of a pipeline an error, which it returns.
func refuse(cmds []redis.Cmder, err error) error {
	for _, cmd := range cmds {
		cmd.SetErr(err)
	}
	return err
}
