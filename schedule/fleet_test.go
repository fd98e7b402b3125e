package schedule

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// ttl is not a whole number of seconds three times, so that nothing falls together by luck.
const ttl = 14 * time.Second

// member is one of several replicas, with its link to their store.
type member struct {
	*replica
	link *link
	ran  journal
	// stuck, if set, is what a run waits for first.
	stuck atomic.Pointer[chan struct{}]
}

// kill ends it as SIGKILL does: no call of it reaches the store any more.
func (m *member) kill() {
	m.link.fail(down, nil)
	m.stop()
}

// fleet is n replicas on one store, of which the first leads.
type fleet struct {
	*store
	t       *testing.T
	members []*member
}

func newFleet(t *testing.T, n int) *fleet {
	f := &fleet{store: new(store), t: t}
	for range n {
		f.join(nil)
	}
	if got := f.leaders(); !slices.Equal(got, []int{0}) {
		t.Fatalf("leaders %v, want the first replica alone", got)
	}
	return f
}

// join adds a replica whose job runs every second after what is given here.
func (f *fleet) join(work func(context.Context) error) *member {
	m := &member{link: &link{store: f.store}}
	m.replica = start(f.t, Options{
		Lease: m.link, LeaseTTL: ttl, Grace: grace,
		Jobs: []Job{{Name: "trim", Schedule: "@every 1s", Leader: true, Run: func(ctx context.Context) error {
			if release := m.stuck.Load(); release != nil {
				<-*release // whatever its context says
			}
			m.ran.run(ctx)
			if work != nil {
				return work(ctx)
			}
			return nil
		}}},
	})
	f.members = append(f.members, m)
	return m
}

func (f *fleet) leaders() []int {
	synctest.Wait()
	var leaders []int
	for i, m := range f.members {
		if m.Status().Leader {
			leaders = append(leaders, i)
		}
	}
	return leaders
}

// worked returns which replicas started a run in the next d, but for this instant.
func (f *fleet) worked(d time.Duration) []int {
	begun := time.Now().Add(1)
	wait(d)
	var workers []int
	for i, m := range f.members {
		if len(m.ran.since(begun)) > 0 {
			workers = append(workers, i)
		}
	}
	return workers
}

func (f *fleet) expectLeaders(when string, want ...int) {
	f.t.Helper()
	if got := f.leaders(); !slices.Equal(got, want) {
		f.t.Errorf("%s: leaders %v, want %v", when, got, want)
	}
}

func (f *fleet) expectWorkers(when string, d time.Duration, want ...int) {
	f.t.Helper()
	if got := f.worked(d); !slices.Equal(got, want) {
		f.t.Errorf("%s: %v worked, want %v", when, got, want)
	}
}

func (f *fleet) stop() {
	for _, m := range f.members {
		m.cancel()
	}
	time.Sleep(grace)
}

// inFleet runs a test with three replicas in a bubble of fake time.
func inFleet(t *testing.T, test func(t *testing.T, f *fleet)) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3)
		defer f.stop()
		test(t, f)
	})
}
