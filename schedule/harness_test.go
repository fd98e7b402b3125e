package schedule

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// replica is a Scheduler that runs in the bubble of a test, with a record of what it did.
type replica struct {
	*Scheduler
	t      *testing.T
	cancel context.CancelFunc
	done   chan error

	mu       sync.Mutex
	skew     time.Duration // of the wall clock
	outcomes []Outcome
	leader   []bool
}

// start runs a Scheduler until the test ends or stops it.
func start(t *testing.T, opts Options) *replica {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &replica{t: t, cancel: cancel, done: make(chan error, 1)}
	opts.wall = func() time.Time {
		r.mu.Lock()
		defer r.mu.Unlock()
		return wallClock().Add(r.skew)
	}
	told := opts.OnRun
	opts.OnRun = func(o Outcome) {
		r.mu.Lock()
		r.outcomes = append(r.outcomes, o)
		r.mu.Unlock()
		if told != nil {
			told(o)
		}
	}
	opts.OnLeader = func(leads bool) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.leader = append(r.leader, leads)
	}
	s, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	r.Scheduler = s
	go func() { r.done <- s.Run(ctx) }()
	synctest.Wait()
	return r
}

// stop stops it as SIGTERM does, and returns what Run returned.
func (r *replica) stop() error {
	r.cancel()
	return <-r.done
}

// setClock sets the wall clock forward, or back.
func (r *replica) setClock(by time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.skew += by
}

// results counts the outcomes so far.
func (r *replica) results() map[Result]int {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	counts := make(map[Result]int)
	for _, o := range r.outcomes {
		counts[o.Result]++
	}
	return counts
}

func (r *replica) leadership() []bool {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.leader)
}

// wait lets fake time pass and everything happen that is due then.
func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// journal is a job that notes when it was started.
type journal struct {
	mu     sync.Mutex
	starts []time.Time
}

func (j *journal) run(context.Context) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.starts = append(j.starts, time.Now())
	return nil
}

// since returns the starts as durations since then.
func (j *journal) since(then time.Time) []time.Duration {
	synctest.Wait()
	j.mu.Lock()
	defer j.mu.Unlock()
	var ds []time.Duration
	for _, at := range j.starts {
		if !at.Before(then) {
			ds = append(ds, at.Sub(then))
		}
	}
	return ds
}

// store is a lease in memory, whose time is the bubble's.
type store struct {
	mu      sync.Mutex
	holder  string
	expires time.Time
	full    bool // out of memory: a new lease cannot be written
}

func (s *store) fill(full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = full
}

// give makes another the holder, or nobody.
func (s *store) give(holder string, ttl time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holder, s.expires = holder, time.Now().Add(ttl)
}

func (s *store) owner() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held()
}

// held returns who holds the lease. The caller holds mu.
func (s *store) held() string {
	if !time.Now().Before(s.expires) {
		s.holder = ""
	}
	return s.holder
}

var errNoRoute = errors.New("no route to host")

// link is one replica's way to the store.
type link struct {
	*store
	mu    sync.Mutex
	fault func(ctx context.Context) error // before the call
	reply func(ctx context.Context) error // after it was carried out
}

// fail sets what happens to calls from now on; nil is nothing.
func (l *link) fail(fault, reply func(context.Context) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault, l.reply = fault, reply
}

func down(context.Context) error     { return errNoRoute }
func hang(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

func slow(ctx context.Context) error { sleep(ctx, 10*time.Millisecond); return ctx.Err() }

func (l *link) call(ctx context.Context, do func() error) error {
	l.mu.Lock()
	fault, reply := l.fault, l.reply
	l.mu.Unlock()
	if fault != nil {
		if err := fault(ctx); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	l.store.mu.Lock()
	err := do()
	l.store.mu.Unlock()
	if reply != nil && err == nil {
		err = reply(ctx)
	}
	return err
}

func (l *link) Acquire(ctx context.Context, token string, ttl time.Duration) (ok bool, err error) {
	err = l.call(ctx, func() error {
		switch {
		case l.held() != "":
			return nil
		case l.full:
			return ErrLeaseUnwritable
		}
		l.holder, l.expires, ok = token, time.Now().Add(ttl), true
		return nil
	})
	return ok && err == nil, err
}

func (l *link) Renew(ctx context.Context, token string, ttl time.Duration) (ok bool, err error) {
	err = l.call(ctx, func() error {
		if ok = l.held() == token; ok {
			l.expires = time.Now().Add(ttl)
		}
		return nil
	})
	return ok && err == nil, err
}

func (l *link) Release(ctx context.Context, token string) error {
	return l.call(ctx, func() error {
		if l.held() == token {
			l.holder = ""
		}
		return nil
	})
}
