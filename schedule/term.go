package schedule

import (
	"context"
	"errors"
	"sync"
	"time"
)

var errStopped = errors.New("stopping")

// Who runs a job; see Job.Leader.
const (
	everyReplica = false
	leaderOnly   = true
)

// term is one time of leading, and the loops of the jobs that go with it.
type term struct {
	cancel context.CancelCauseFunc
	loops  *sync.WaitGroup
}

// beginTerm makes this replica the leader. Contested says that another was seen to
// lead since this one did, or since it started.
func (s *Scheduler) beginTerm(ctx context.Context, contested bool) {
	s.mu.Lock()
	if s.stopping || ctx.Err() != nil {
		s.mu.Unlock()
		return
	}
	ctx, cancel := context.WithCancelCause(ctx)
	s.progress = time.Now()
	s.term = &term{cancel: cancel, loops: s.startLoops(ctx, leaderOnly, contested)}
	s.mu.Unlock()
	s.notifyLeader(true)
}

// endTerm makes it a follower, cancels the runs that only a leader may do, and
// leaves them to end by themselves. It does nothing when there is no term.
func (s *Scheduler) endTerm(cause error) {
	s.mu.Lock()
	t := s.term
	s.mu.Unlock()
	if t == nil {
		return
	}
	// What only a leader knows goes first, so that nobody sees it at a follower.
	s.notifyLeader(false)
	s.mu.Lock()
	s.term = nil
	s.forget()
	s.mu.Unlock()
	t.cancel(cause)
	t.loops.Wait()
}

func (s *Scheduler) notifyLeader(leads bool) {
	if s.opts.OnLeader != nil {
		s.opts.OnLeader(leads)
	}
}

// startLoops starts the jobs that the leader, or every replica, runs. The caller
// holds mu.
func (s *Scheduler) startLoops(ctx context.Context, leader, contested bool) *sync.WaitGroup {
	var loops sync.WaitGroup
	for _, j := range s.jobs {
		if j.Leader != leader {
			continue
		}
		spread := min(s.opts.Spread, j.period())
		if contested || !j.since.IsZero() {
			// A takeover is promised within two TTL of a kill: one until the
			// lease expires, a third to notice, a third here.
			spread = min(spread, s.opts.LeaseTTL/3)
		}
		if contested || j.since.IsZero() {
			j.since = j.now()
		}
		first := within(spread)
		loops.Add(1)
		s.work.Go(func() {
			defer loops.Done()
			s.loop(ctx, j, first)
		})
	}
	return &loops
}

// leads reports whether this replica leads beyond doubt. A term may end a moment
// later than the lease, when the whole process was frozen for example.
func (s *Scheduler) leads() bool {
	if s.elector == nil {
		return true
	}
	_, leads := s.elector.current()
	return leads
}
