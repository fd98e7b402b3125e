package cli

import (
	"context"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/metrics"
)

// observers lets the metrics hear of what is no job's own.
type observers struct{ *metrics.Metrics }

// ran notes a run that ended. That the clocks disagree is found out by us, not
// said by Redis, so it is counted here.
func (m observers) ran(r metrics.Run, err error) {
	clocks := redisconn.ClassOf(err) == redisconn.ClassClock
	r.ClocksDisagree = clocks
	m.JobRun(r)
	if clocks {
		m.RedisError(redisconn.ClassClock)
	}
}

// ping asks Redis for a sign of life.
func (m observers) ping(ctx context.Context, b *buffer.Buffer) {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	m.RedisUp(b.Ping(ctx) == nil)
}

const pingTimeout = time.Second
