package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// roundTrips are how many are timed.
const roundTrips = 5

// readServer asks what Redis says of itself, and looks at our own keys. What it
// may not ask for is not known; what breaks the connection is an error.
func (e *examination) readServer(ctx context.Context) error {
	s := &e.server
	s.Server, s.Target = e.b.Server(), e.o.Connection.Redacted()
	s.Database, s.Transport = e.o.Connection.Database(), e.o.Connection.Transport()
	var err error
	if e.now, err = e.b.Now(ctx); err != nil && redisconn.ClassOf(err) != redisconn.ClassClock {
		return err
	}
	s.Now, s.Apart = e.now, e.o.Now().Sub(e.now)
	if s.RoundTrip, err = e.timeRoundTrip(ctx); err != nil {
		return err
	}
	if s.Streams, err = e.b.CountStreams(ctx); err != nil && redisconn.ClassOf(err) != redisconn.ClassWrongType {
		return err
	}
	s.Databases, s.DatabasesError = e.b.Databases(ctx)
	s.Nodes, s.NodesError = e.b.NodeStates(ctx)
	s.NodeLimits = e.b.NodeLimits(ctx)
	s.Instances, s.InstancesError = e.b.Instances(ctx)
	if s.Leases = e.o.Leases; s.Leases {
		s.Lease, s.LeaseError = e.b.Lease().State(ctx)
	}
	s.Unusable, s.UnusableError = e.b.UnusableState(ctx)
	for _, err := range []error{s.DatabasesError, s.NodesError, s.InstancesError, s.LeaseError, s.UnusableError} {
		if isBroken(err) {
			return err
		}
	}
	for _, o := range e.outcomes {
		if o.check.server != nil {
			o.check.server(s, o)
		}
	}
	return nil
}

// isBroken reports whether an error is more than a right that is missing.
func isBroken(err error) bool {
	return redisconn.IsLost(err) && redisconn.ClassOf(err) != redisconn.ClassAuth
}

func (e *examination) timeRoundTrip(ctx context.Context) (time.Duration, error) {
	quickest := time.Duration(0)
	for range roundTrips {
		started := time.Now()
		if _, err := e.b.Now(ctx); err != nil && redisconn.ClassOf(err) != redisconn.ClassClock {
			return 0, fmt.Errorf("timing a round trip: %w", err)
		}
		if took := time.Since(started); quickest == 0 || took < quickest {
			quickest = took
		}
	}
	return quickest, nil
}
