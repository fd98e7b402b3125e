package registry

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Lasting reports for each session that its producer set no time to live where it
// could: at a key of its own, and from Redis 7.4 on in the shared Hash.
func (r *Registry) Lasting(ctx context.Context, sessions []Session) ([]bool, error) {
	lasting := make([]bool, len(sessions))
	pipe := r.conn.Client().Pipeline()
	cmds := make([]*redis.DurationCmd, len(sessions))
	for i, s := range sessions {
		if s.HasOwnKey() {
			cmds[i] = pipe.PTTL(ctx, r.key(s.Layout, s.Identity))
			continue
		}
		server := r.conn.Server()
		lasting[i] = server.Name == "redis" && server.AtLeast(7, 4) && !s.SelfExpiring
	}
	if pipe.Len() == 0 {
		return lasting, nil
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("asking when sessions expire: %w", err)
	}
	for i, cmd := range cmds {
		if cmd != nil {
			lasting[i] = cmd.Val() == -1*time.Nanosecond // Redis's word for never
		}
	}
	return lasting, nil
}
