package buffer

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// A script is Lua that runs on one key. None begins with a #! line: 6.2 does
// not know it, and at maxmemory it would have the script refused as a whole
// where its XTRIM, HDEL or UNLINK alone still work.
type script struct{ source, sha string }

func newScript(source string) script {
	sum := sha1.Sum([]byte(source))
	return script{source: source, sha: hex.EncodeToString(sum[:])}
}

// scriptCall is one call of a script: its key and its arguments.
type scriptCall struct {
	key  string
	args []any
}

// moreKeys are keys beside the first, given in front of the arguments; in a
// cluster there can be none.
type moreKeys []string

// scriptCmd is a call of a script that is still known to be one; reads marks
// those that only read where the server is not told so.
type scriptCmd struct {
	*redis.Cmd
	script script
	reads  bool
}

var inScript = regexp.MustCompile(`call\('([A-Z]+)'(?:, '([A-Z]+)')?`)

// callsAt are the commands in a line of the script, as an ACL rule names them.
func (s script) callsAt(line int) []string {
	lines := strings.Split(s.source, "\n")
	if line < 1 || line > len(lines) {
		return nil
	}
	var calls []string
	for _, found := range inScript.FindAllStringSubmatch(lines[line-1], -1) {
		call := "+" + strings.ToLower(found[1])
		if found[1] == "XINFO" || found[1] == "MEMORY" {
			call += "|" + strings.ToLower(found[2])
		}
		calls = append(calls, call)
	}
	return calls
}

// evalWrite runs a script that may write, one call after the other in one
// pipeline. The outcomes are in the calls' order.
func (b *Buffer) evalWrite(ctx context.Context, s script, calls []scriptCall) []*redis.Cmd {
	return b.eval(ctx, calls, func(ctx context.Context, p redis.Pipeliner, withSource bool, c scriptCall) *redis.Cmd {
		cmd := redis.NewCmd(ctx, evalArgs(s, withSource, "eval", "evalsha", c)...)
		_ = p.Process(ctx, &scriptCmd{cmd, s, false})
		return cmd
	})
}

// evalRead runs a script that only reads.
func (b *Buffer) evalRead(ctx context.Context, s script, calls []scriptCall) []*redis.Cmd {
	if b.enforceReads.Load() {
		outcomes := b.eval(ctx, calls, func(ctx context.Context, p redis.Pipeliner, withSource bool, c scriptCall) *redis.Cmd {
			cmd := redis.NewCmd(ctx, evalArgs(s, withSource, "eval_ro", "evalsha_ro", c)...)
			_ = p.Process(ctx, cmd)
			return cmd
		})
		if !slices.ContainsFunc(outcomes, func(cmd *redis.Cmd) bool { return redis.HasErrorPrefix(cmd.Err(), "NOPERM") }) {
			return outcomes
		}
		b.enforceReads.Store(false)
	}
	return b.eval(ctx, calls, func(ctx context.Context, p redis.Pipeliner, withSource bool, c scriptCall) *redis.Cmd {
		cmd := redis.NewCmd(ctx, evalArgs(s, withSource, "eval", "evalsha", c)...)
		_ = p.Process(ctx, &scriptCmd{cmd, s, true})
		return cmd
	})
}

// mayEnforceReads reports whether the server itself is to see to it that a
// read-only buffer's scripts do not write. EVAL_RO came with 7.0 and is not in
// the rights that a user of our own has, since a rule for it fails on 6.2: only
// the default user is expected to have it. miniredis takes XINFO for a write.
func (b *Buffer) mayEnforceReads(o Options) bool {
	user := o.Connection.user()
	return o.ReadOnly && b.server.AtLeast(7, 0) && b.server.Name != "miniredis" && (user == "" || user == "default")
}

func evalArgs(s script, withSource bool, eval, evalsha string, c scriptCall) []any {
	args := make([]any, 0, 4+len(c.args))
	if withSource {
		args = append(args, eval, s.source)
	} else {
		args = append(args, evalsha, s.sha)
	}
	if len(c.args) > 0 {
		if more, ok := c.args[0].(moreKeys); ok {
			args = append(args, 1+len(more), c.key)
			for _, key := range more {
				args = append(args, key)
			}
			return append(args, c.args[1:]...)
		}
	}
	return append(append(args, 1, c.key), c.args...)
}

type sendScript func(ctx context.Context, p redis.Pipeliner, withSource bool, c scriptCall) *redis.Cmd

// eval sends the calls by the script's hash and, for those that the server
// did not know it for, once more with its source: scripts vanish at a restart,
// a failover and SCRIPT FLUSH.
func (b *Buffer) eval(ctx context.Context, calls []scriptCall, send sendScript) []*redis.Cmd {
	outcomes := make([]*redis.Cmd, len(calls))
	pipe := b.rdb.Pipeline()
	for i, c := range calls {
		outcomes[i] = send(ctx, pipe, false, c)
	}
	// Every command holds its own error, so the pipeline's says nothing new.
	_, _ = pipe.Exec(ctx)
	pipe = b.rdb.Pipeline()
	for i, c := range calls {
		if redis.HasErrorPrefix(outcomes[i].Err(), "NOSCRIPT") {
			outcomes[i] = send(ctx, pipe, true, c)
		}
	}
	if pipe.Len() > 0 {
		_, _ = pipe.Exec(ctx)
	}
	return outcomes
}
