package schedule

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/rescue"
)

var (
	errLeaseTaken  = errors.New("another replica holds the lease")
	errLeaseLapsed = errors.New("the lease was not renewed in time")
	errLate        = errors.New("the answer came when the lease it gives had lapsed")
)

// elector keeps asking for the lease, renews it while it has it, and begins and
// ends the terms of its Scheduler accordingly.
type elector struct {
	scheduler *Scheduler
	lease     Lease
	ttl       time.Duration
	token     string // names this replica in the lease
	log       *slog.Logger

	leading   bool
	contested bool      // another was seen to hold the lease since this one led
	inDoubt   bool      // the store may hold our token, whatever it answered
	failing   bool      // the last call failed
	gaveUp    time.Time // when it gave the lease up for want of progress; zero if it stands

	mu      sync.Mutex // guards what follows, which others read
	state   LeaseState
	renewed stamp // when the call was sent that last gave us the lease
	problem error // why the lease cannot be had, as the last call said
}

func newElector(s *Scheduler) *elector {
	return &elector{
		scheduler: s,
		lease:     s.opts.Lease,
		ttl:       s.opts.LeaseTTL,
		token:     strings.TrimSpace(s.opts.Name + " " + rand.Text()),
		log:       s.log,
		state:     LeaseStandby,
	}
}

// run stands for election until standing ends, and renews the lease, if it leads
// then, until renewing ends.
func (e *elector) run(renewing, standing context.Context) {
	defer e.scheduler.waits(electorLoop)
	for {
		if e.leading && e.left() <= 0 {
			e.resign(errLeaseLapsed)
		}
		ctx := e.until(renewing, standing)
		if ctx.Err() != nil {
			return
		}
		sent := e.scheduler.stamp()
		// Who would neither lead nor stand for election any more looks alive, and
		// takes a process with it that could go on.
		if err := rescue.Call(func() error { e.turn(ctx, standing, sent); return nil }); err != nil {
			e.failing = true
			e.note(err)
			e.scheduler.withStack(err).Error("election failed", keyError, err)
		}
		e.rest(e.until(renewing, standing), sent)
	}
}

// turn does what is due.
func (e *elector) turn(ctx, standing context.Context, sent stamp) {
	switch {
	case e.leading && standing.Err() == nil && e.scheduler.noProgress():
		e.giveUp(ctx)
	case e.standsAside():
	default:
		e.step(ctx, standing, sent)
	}
}

// electorLoop is the elector among the loops of the scheduler.
const electorLoop = "election"

// giveUp lets another replica work: this one holds the lease and does nothing.
func (e *elector) giveUp(ctx context.Context) {
	e.gaveUp = time.Now()
	e.resign(errNoProgress)
	ctx, cancel := context.WithTimeout(ctx, e.ttl/3)
	defer cancel()
	if err := e.lease.Release(ctx, e.token); err != nil {
		e.log.Warn("lease not released, it expires by itself", keyError, err)
	}
}

// standsAside reports whether this replica gave the lease up and is not to ask for
// it yet: another is to have the first chance, and a run has to end here.
func (e *elector) standsAside() bool {
	if e.gaveUp.IsZero() {
		return false
	}
	if time.Since(e.gaveUp) < e.ttl+2*tick || !e.scheduler.progressed(e.gaveUp) {
		return true
	}
	e.gaveUp = time.Time{}
	return false
}

func (e *elector) until(renewing, standing context.Context) context.Context {
	if e.leading {
		return renewing
	}
	return standing
}

// step asks for the lease once and acts on the answer.
func (e *elector) step(ctx, standing context.Context, sent stamp) {
	ok, err := e.claim(ctx)
	state, problem := LeaseHeld, error(nil)
	if errors.Is(err, ErrLeaseUnwritable) {
		ok, err, state, problem = true, nil, LeaseUnwritable, err
	}
	if ok && e.scheduler.since(sent) >= e.ttl {
		err = errLate
	}
	e.note(cmp.Or(err, problem))
	failed := e.failing
	e.failing = err != nil
	switch {
	case err != nil: // who leads goes on until the lease lapses
		if !failed && ctx.Err() == nil {
			e.scheduler.classed(e.log, err).Warn("lease store unreachable", keyError, err)
		}
	case ok:
		e.lead(standing, state, sent, problem)
	default:
		e.contested = true
		e.resign(errLeaseTaken)
	}
}

// claim renews the lease if it may be ours, and else, or if it turns out to be
// gone, tries to acquire it. So a lease that was evicted, or whose acquisition
// was never answered, is not waited for.
func (e *elector) claim(ctx context.Context) (bool, error) {
	limit := e.ttl / 3
	if e.leading {
		limit = min(limit, e.left())
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if e.inDoubt {
		if ok, err := e.lease.Renew(ctx, e.token, e.ttl); ok || err != nil {
			return ok, err
		}
	}
	e.inDoubt = true
	ok, err := e.lease.Acquire(ctx, e.token, e.ttl)
	if !ok && err == nil {
		e.inDoubt = false
	}
	return ok, err
}

// rest waits until it is time to ask again: at a third of the TTL for a leader
// with a fresh answer, often for everybody else, since asking is cheap and a
// lease that is given up is to be taken at once.
func (e *elector) rest(ctx context.Context, asked stamp) {
	pause := e.ttl / 3
	if !e.leading || e.failing {
		pause = min(pause, tick)
	}
	for {
		e.scheduler.turns(electorLoop)
		left := pause - e.scheduler.since(asked)
		if e.leading {
			left = min(left, e.left())
		}
		if left <= 0 || !sleep(ctx, min(left, tick)) {
			return
		}
	}
}

// lead notes an answer that gives this replica the lease.
func (e *elector) lead(standing context.Context, state LeaseState, sent stamp, problem error) {
	e.mu.Lock()
	before := e.state
	e.state, e.renewed = state, sent
	e.mu.Unlock()
	switch {
	case state == before:
	case problem != nil:
		e.log.Warn("leading without a lease", keyLease, state, keyReason, problem)
	default:
		e.log.Info("leading", keyLease, state)
	}
	if !e.leading {
		e.leading = true
		e.scheduler.beginTerm(standing, e.contested)
		e.contested = false
	}
}

// note keeps why the lease cannot be had; nil where nothing is wrong with it.
func (e *elector) note(problem error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.problem = problem
}

func (e *elector) trouble() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.problem
}

// resign ends the term, if there is one.
func (e *elector) resign(reason error) {
	if !e.leading {
		return
	}
	e.leading = false
	e.mu.Lock()
	e.state = LeaseStandby
	e.mu.Unlock()
	e.log.Warn("no longer leading", keyReason, reason)
	e.scheduler.endTerm(reason)
}

// release gives the lease up, once run has returned.
func (e *elector) release(ctx context.Context, limit time.Duration) {
	e.mu.Lock()
	e.state = LeaseStandby
	e.mu.Unlock()
	if !e.inDoubt {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := e.lease.Release(ctx, e.token); err != nil {
		e.log.Warn("cannot release lease", keyError, err)
	}
}

// left is how much longer the lease is ours for certain.
func (e *elector) left() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ttl - e.scheduler.since(e.renewed)
}

// current is the state, and whether it allows a run to start.
func (e *elector) current() (state LeaseState, leads bool) {
	left := e.left()
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.state, e.state != LeaseStandby && left > 0
}
