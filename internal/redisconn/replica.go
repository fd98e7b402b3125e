package redisconn

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrReplica is returned for what would change a replica: what is removed there
// comes back, or is missed, at its next synchronisation, and the master keeps all.
var ErrReplica = errors.New("this Redis is a replica: name the master, or set REDIS_ALLOW_REPLICA=true")

// roleAge is how old what a server said of its role may be when something is
// written to it: a server may become a replica at any time.
const roleAge = time.Second

// masterOnly lets nothing be written to a server that is a replica. It asks again
// what the server is where the last answer is old. Nodes of a cluster need no such
// guard: their replicas take no command.
type masterOnly struct {
	now func() time.Time

	mu    sync.Mutex
	asked time.Time
	last  Server
}

func newMasterOnly(now func() time.Time) *masterOnly { return &masterOnly{now: now} }

func (*masterOnly) DialHook(next redis.DialHook) redis.DialHook { return next }

func (g *masterOnly) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if !isRead(cmd) {
			if err := g.check(ctx, next); err != nil {
				err = fmt.Errorf("%s: %w", cmd.Name(), err)
				cmd.SetErr(err)
				return err
			}
		}
		return next(ctx, cmd)
	}
}

func (g *masterOnly) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if write := firstWrite(cmds); write != nil {
			ask := func(ctx context.Context, cmd redis.Cmder) error { return next(ctx, []redis.Cmder{cmd}) }
			if err := g.check(ctx, ask); err != nil {
				return refuse(cmds, fmt.Errorf("%s: %w", write.Name(), err))
			}
		}
		return next(ctx, cmds)
	}
}

// saw notes what the server has just said of itself.
func (g *masterOnly) saw(s Server) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last, g.asked = s, g.now()
}

// check fails unless the server is no replica.
func (g *masterOnly) check(ctx context.Context, ask redis.ProcessHook) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := g.now(); g.asked.IsZero() || now.Before(g.asked) || now.Sub(g.asked) > roleAge {
		cmd := helloCmd(ctx)
		if err := ask(ctx, cmd); err != nil {
			return fmt.Errorf("asking the server for its role: %w", markUnsent(err))
		}
		g.last, g.asked = serverOf(cmd.Val()), now
	}
	if g.last.IsReplica() && g.last.Mode != modeCluster {
		return ErrReplica
	}
	return nil
}
