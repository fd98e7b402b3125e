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

// onConnect is called for each new connection. One that is not signed in is none:
// when the server wants no password any more it would still refuse HELLO.
func (n *noTouch) onConnect(ctx context.Context, conn *redis.Conn) error {
	cmd := helloCmd(ctx)
	err := conn.Process(ctx, cmd)
	switch {
	case redis.HasErrorPrefix(err, "NOAUTH"):
		return err
	case err != nil, n.refused.Load():
		return nil //nolint:nilerr // whoever wants the connection is told; this is a courtesy
	}
	if !serverOf(cmd.Val()).AtLeast(7, 2) {
		n.refused.Store(true)
		return nil
	}
	err = conn.Do(ctx, "client", "no-touch", "on").Err()
	if _, answered := errors.AsType[redis.Error](err); answered {
		n.refused.Store(true)
	}
	return nil
}
