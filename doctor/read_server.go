package doctor

import (
	"context"
	"fmt"
	"slices"
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
	if err := e.readClock(ctx); err != nil {
		return err
	}
	var err error
	s.Streams, err = e.b.CountStreams(ctx)
	if redisconn.ClassOf(err) == redisconn.ClassWrongType {
		err = nil // stream-type says so
	}
	reasons := map[fact]error{factCount: err}
	s.Databases, s.DatabasesError = e.b.Databases(ctx)
	reasons[factDatabases] = s.DatabasesError
	if s.Streams == 0 && err == nil && s.DatabasesError == nil {
		s.OwnKeys, s.Absence = e.b.CountOwnKeys(ctx), e.b.Absence(ctx)
	}
	s.Nodes, reasons[factNodes] = e.b.NodeStates(ctx)
	if s.Trims = e.o.Uses.Trim; s.Trims {
		s.NodeLimits, reasons[factNodeLimits] = e.b.AskNodeLimits(ctx)
	}
	s.Instances, s.InstancesError = e.b.Instances(ctx)
	reasons[factInstances] = s.InstancesError
	s.Pauses, reasons[factPauses] = e.b.Pauses(ctx)
	if s.HistoryLength = e.o.HistoryLength; e.reads {
		s.History, reasons[factHistory] = e.b.SummarizeHistory(ctx, e.now.Add(-churnTime))
		if redisconn.ClassOf(reasons[factHistory]) == redisconn.ClassWrongType {
			reasons[factHistory] = nil // state-keys says so
		}
	}
	if s.Leases = e.o.Leases; s.Leases {
		s.Lease, reasons[factLease] = e.b.Lease().State(ctx)
	}
	reasons[factRights] = e.readRights(ctx)
	s.Unusable, reasons[factState] = e.b.UnusableKeys(ctx, e.o.Uses)
	for f := range facts {
		if !e.unread.note(f, reasons[f]) {
			return reasons[f]
		}
	}
	for _, o := range e.outcomes {
		if o.check.server != nil && e.unread.lacks(o.check) == nil {
			o.check.server(s, o)
		}
	}
	return nil
}

// readClock asks for Redis's time. Where that is denied this machine's has to do,
// for what is read by it; nothing is judged by it.
func (e *examination) readClock(ctx context.Context) error {
	s := &e.server
	var err error
	e.now, err = e.b.Time(ctx)
	if !e.unread.note(factTime, err) {
		return err
	}
	if err != nil {
		e.now = e.o.Now()
	}
	s.Now, s.Apart = e.now, e.o.Now().Sub(e.now)
	s.RoundTrip, err = e.timeRoundTrip(ctx)
	return err
}

// readRights asks which rights are missing: for what is enabled, and, where more is
// read than the daemon does, for that.
func (e *examination) readRights(ctx context.Context) error {
	s := &e.server
	var err error
	if s.MissingRights, err = e.b.MissingRights(ctx, e.o.Uses); err != nil || !e.reads {
		return err
	}
	toRead, err := e.b.MissingRights(ctx, e.o.Uses.OnlyReading())
	s.OnlyReads = err == nil && len(toRead) == 0 && len(s.MissingRights) > 0
	for _, word := range e.o.Uses.Writes() {
		s.OnlyReads = s.OnlyReads && slices.Contains(s.MissingRights, word)
	}
	for _, word := range toRead {
		if !slices.Contains(s.MissingRights, word) {
			s.MissingToRead = append(s.MissingToRead, word)
		}
	}
	return err
}

// isBroken reports whether an error is more than a right that is missing.
func isBroken(err error) bool {
	return redisconn.IsLost(err) && redisconn.ClassOf(err) != redisconn.ClassAuth
}

func (e *examination) timeRoundTrip(ctx context.Context) (time.Duration, error) {
	quickest := time.Duration(0)
	for range roundTrips {
		started := time.Now()
		if _, err := e.b.Time(ctx); err != nil && !isDenied(err) {
			return 0, fmt.Errorf("timing a round trip: %w", err)
		}
		if took := time.Since(started); quickest == 0 || took < quickest {
			quickest = took
		}
	}
	return quickest, nil
}
