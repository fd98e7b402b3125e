package buffer

import (
	"context"
	"crypto/sha1"
	"encoding/hex"

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

// readScript marks a script that only reads, for servers before 7.0 which
// cannot be told so.
type readScript struct{ *redis.Cmd }

// evalWrite runs a script that may write, one call after the other in one
// pipeline. The outcomes are in the calls' order.
func (b *Buffer) evalWrite(ctx context.Context, s script, calls []scriptCall) []*redis.Cmd {
	return b.eval(ctx, s, calls, func(ctx context.Context, p redis.Pipeliner, withSource bool, c scriptCall) *redis.Cmd {
		cmd := redis.NewCmd(ctx, evalArgs(s, withSource, "eval", "evalsha", c)...)
		_ = p.Process(ctx, cmd)
		return cmd
	})
}

// evalRead runs a script that only reads; from 7.0 on the server sees to it.
func (b *Buffer) evalRead(ctx context.Context, s script, calls []scriptCall) []*redis.Cmd {
	return b.eval(ctx, s, calls, func(ctx context.Context, p redis.Pipeliner, withSource bool, c scriptCall) *redis.Cmd {
		if b.server.hasReadScripts() {
			cmd := redis.NewCmd(ctx, evalArgs(s, withSource, "eval_ro", "evalsha_ro", c)...)
			_ = p.Process(ctx, cmd)
			return cmd
		}
		cmd := redis.NewCmd(ctx, evalArgs(s, withSource, "eval", "evalsha", c)...)
		_ = p.Process(ctx, &readScript{cmd})
		return cmd
	})
}

// hasReadScripts reports whether the server has EVAL_RO; miniredis has it, but
// takes XINFO for a write.
func (s Server) hasReadScripts() bool { return s.AtLeast(7, 0) && s.Name != "miniredis" }

func evalArgs(s script, withSource bool, eval, evalsha string, c scriptCall) []any {
	args := make([]any, 0, 4+len(c.args))
	if withSource {
		args = append(args, eval, s.source)
	} else {
		args = append(args, evalsha, s.sha)
	}
	return append(append(args, 1, c.key), c.args...)
}

type sendScript func(ctx context.Context, p redis.Pipeliner, withSource bool, c scriptCall) *redis.Cmd

// eval sends the calls by the script's hash and, for those that the server
// did not know it for, once more with its source: scripts vanish at a restart,
// a failover and SCRIPT FLUSH.
func (b *Buffer) eval(ctx context.Context, s script, calls []scriptCall, send sendScript) []*redis.Cmd {
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
