package redisconn

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// A Script is Lua that runs on one key. None begins with a #! line: 6.2 does
// not know it, and at maxmemory it would have the script refused as a whole
// where its XTRIM, HDEL or UNLINK alone still work.
type Script struct {
	source string
	sha    func() string
}

// NewScript prepares a script. The hash waits for the first use: a command that
// begins uses few of all scripts.
func NewScript(source string) Script {
	return Script{source: source, sha: sync.OnceValue(func() string {
		sum := sha1.Sum([]byte(source))
		return hex.EncodeToString(sum[:])
	})}
}

// Source is the script's text.
func (s Script) Source() string { return s.source }

// SHA is the hash by which the server knows the script.
func (s Script) SHA() string { return s.sha() }

// Call is one call of a script. In a cluster it has one key.
type Call struct {
	Keys []string
	Args []any
}

// OnKey is a call of a script on one key.
func OnKey(key string, args ...any) Call { return Call{Keys: []string{key}, Args: args} }

// scriptCmd is a call of a script that is still known to be one; reads marks
// those that only read where the server is not told so.
type scriptCmd struct {
	*redis.Cmd
	script   Script
	reads    bool
	answered bool
}

// NoRetry tells go-redis that a script that may write is sent once; see [Conn.Once].
func (c *scriptCmd) NoRetry() bool { return !c.reads }

// SetErr implements [redis.Cmder].
func (c *scriptCmd) SetErr(err error) {
	if settle(&c.answered, err) {
		c.Cmd.SetErr(err)
	}
}

var inScript = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`call\('([A-Z]+)'(?:, '([A-Z]+)')?`) })

// callsAt are the commands in a line of the script, as an ACL rule names them.
func (s Script) callsAt(line int) []string {
	lines := strings.Split(s.source, "\n")
	if line < 1 || line > len(lines) {
		return nil
	}
	var calls []string
	for _, found := range inScript().FindAllStringSubmatch(lines[line-1], -1) {
		call := "+" + strings.ToLower(found[1])
		if found[1] == "XINFO" || found[1] == "MEMORY" {
			call += "|" + strings.ToLower(found[2])
		}
		calls = append(calls, call)
	}
	return calls
}

// EvalWrite runs a script that may write, one call after the other in one
// pipeline, and none of them twice. The outcomes are in the calls' order.
func (c *Conn) EvalWrite(ctx context.Context, s Script, calls []Call) []*redis.Cmd {
	if err := ctx.Err(); err != nil {
		return unsent(ctx, calls, err)
	}
	ctx, cancel := uncancelled(ctx)
	defer cancel()
	return c.eval(ctx, calls, func(ctx context.Context, p redis.Pipeliner, withSource bool, call Call) *redis.Cmd {
		cmd := redis.NewCmd(ctx, evalArgs(s, withSource, "eval", "evalsha", call)...)
		_ = p.Process(ctx, &scriptCmd{Cmd: cmd, script: s})
		return cmd
	})
}

// unsent are calls that were not sent, and why.
func unsent(ctx context.Context, calls []Call, err error) []*redis.Cmd {
	outcomes := make([]*redis.Cmd, len(calls))
	for i := range outcomes {
		outcomes[i] = redis.NewCmd(ctx)
		outcomes[i].SetErr(err)
	}
	return outcomes
}

// EvalRead runs a script that only reads.
func (c *Conn) EvalRead(ctx context.Context, s Script, calls []Call) []*redis.Cmd {
	if c.enforceReads.Load() {
		outcomes := c.eval(ctx, calls, func(ctx context.Context, p redis.Pipeliner, withSource bool, call Call) *redis.Cmd {
			cmd := redis.NewCmd(ctx, evalArgs(s, withSource, "eval_ro", "evalsha_ro", call)...)
			_ = p.Process(ctx, cmd)
			return cmd
		})
		if !slices.ContainsFunc(outcomes, func(cmd *redis.Cmd) bool { return refusesEvalRO(cmd.Err()) }) {
			return outcomes
		}
		c.enforceReads.Store(false)
	}
	return c.eval(ctx, calls, func(ctx context.Context, p redis.Pipeliner, withSource bool, call Call) *redis.Cmd {
		cmd := redis.NewCmd(ctx, evalArgs(s, withSource, "eval", "evalsha", call)...)
		_ = p.Process(ctx, &scriptCmd{Cmd: cmd, script: s, reads: true})
		return cmd
	})
}

// refusesEvalRO reports that a server does not let us use EVAL_RO: the user may
// not, or the command is renamed or unknown to what calls itself Redis.
func refusesEvalRO(err error) bool {
	return redis.HasErrorPrefix(err, "NOPERM") || err != nil && strings.Contains(strings.ToLower(err.Error()), "unknown command")
}

// mayEnforceReads reports whether the server itself is to see to it that a
// read-only connection's scripts do not write. EVAL_RO came with 7.0 and is not in
// the rights that a user of our own has, since a rule for it fails on 6.2: only
// the default user is expected to have it. miniredis takes XINFO for a write.
func (c *Conn) mayEnforceReads(o Options) bool {
	user := o.Connection.user()
	return o.ReadOnly && c.server.AtLeast(7, 0) && c.server.Name != "miniredis" && (user == "" || user == "default")
}

func evalArgs(s Script, withSource bool, eval, evalsha string, call Call) []any {
	args := make([]any, 0, 3+len(call.Keys)+len(call.Args))
	if withSource {
		args = append(args, eval, s.source)
	} else {
		args = append(args, evalsha, s.sha())
	}
	args = append(args, len(call.Keys))
	for _, key := range call.Keys {
		args = append(args, key)
	}
	return append(args, call.Args...)
}

type sendScript func(ctx context.Context, p redis.Pipeliner, withSource bool, call Call) *redis.Cmd

// eval sends the calls by the script's hash and, for those that the server
// did not know it for, once more with its source: scripts vanish at a restart,
// a failover and SCRIPT FLUSH.
func (c *Conn) eval(ctx context.Context, calls []Call, send sendScript) []*redis.Cmd {
	outcomes := make([]*redis.Cmd, len(calls))
	pipe := c.rdb.Pipeline()
	for i, call := range calls {
		outcomes[i] = send(ctx, pipe, false, call)
	}
	// Every command holds its own error, so the pipeline's says nothing new.
	_, _ = pipe.Exec(ctx)
	pipe = c.rdb.Pipeline()
	for i, call := range calls {
		if redis.HasErrorPrefix(outcomes[i].Err(), "NOSCRIPT") {
			outcomes[i] = send(ctx, pipe, true, call)
		}
	}
	if pipe.Len() > 0 {
		_, _ = pipe.Exec(ctx)
	}
	return outcomes
}
