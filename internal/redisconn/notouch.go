package redisconn

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// noTouch keeps our visits from making keys look used (OBJECT IDLETIME, LRU, LFU)
// where the server can do that, from 7.2 on, and the user may ask for it. It is no
// right that the jobs need, so one refusal is enough.
type noTouch struct{ refused atomic.Bool }

// onConnect is called for each new connection.
func (n *noTouch) onConnect(ctx context.Context, conn *redis.Conn) error {
	if n.refused.Load() {
		return nil
	}
	cmd := helloCmd(ctx)
	if err := conn.Process(ctx, cmd); err != nil {
		// Whoever wants the connection is told.
		return nil //nolint:nilerr // this is a courtesy
	}
	if !serverOf(cmd.Val()).AtLeast(7, 2) {
		n.refused.Store(true)
		return nil
	}
	err := conn.Do(ctx, "client", "no-touch", "on").Err()
	if _, answered := errors.AsType[redis.Error](err); answered {
		n.refused.Store(true)
	}
	return nil
}
