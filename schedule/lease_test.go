package schedule

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestOneOfThreeReplicasWorks(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		f.expectWorkers("in an hour", time.Hour, 0)
		for i, m := range f.members[1:] {
			if s := m.Status(); s.Lease != LeaseStandby || len(s.Overdue()) != 0 || !s.Jobs[0].NextRun.IsZero() {
				t.Errorf("follower %d: status %+v", i+1, s)
			}
		}
		if s := f.members[0].Status(); s.Lease != LeaseHeld || s.Jobs[0].NextRun.IsZero() {
			t.Errorf("leader: status %+v", s)
		}
	})
}

func TestAFollowerTakesOverWithinTwoTTLOfAKill(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		f.worked(7 * time.Second)
		f.members[0].kill()
		killed := time.Now()
		workers := f.worked(2 * ttl)
		if len(workers) != 1 || workers[0] == 0 {
			t.Fatalf("%v worked, want one of the followers", workers)
		}
		if first := f.members[workers[0]].ran.since(killed)[0]; first < ttl/2 {
			t.Errorf("took over after %s, before the lease can have expired", first)
		}
		f.expectLeaders("after the kill", workers[0])
	})
}

func TestTheSpreadOfATakeoverKeepsThePromiseOfTwoTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := new(store)
		shared.give("dead", 3*time.Second) // renewed just now
		begun := time.Now()
		var ran journal
		r := start(t, Options{
			Lease: &link{store: shared}, LeaseTTL: 3 * time.Second, Grace: grace, Spread: time.Hour,
			Jobs: []Job{{Name: "trim", Schedule: "@hourly", Leader: true, Run: ran.run}},
		})
		wait(6 * time.Second)
		if got := ran.since(begun); len(got) != 1 {
			t.Errorf("ran at %v, want once within two TTL", got)
		}
		r.stop()
	})
}

func TestAFollowerTakesOverAtOnceWhenTheLeaderStops(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		f.worked(7 * time.Second)
		if err := f.members[0].stop(); err != nil {
			t.Fatal(err)
		}
		workers := f.worked(1100 * time.Millisecond)
		if len(workers) != 1 || workers[0] == 0 {
			t.Errorf("%v worked in the second after the stop, want one of the followers", workers)
		}
	})
}

func TestTheLeaseIsKeptUntilTheLastRunHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fleet{store: &store{}, t: t}
		leader := f.join(func(context.Context) error {
			time.Sleep(16 * time.Second) // deaf, and longer than the TTL
			return nil
		})
		f.join(nil)
		defer f.stop()
		wait(100 * time.Millisecond)
		leader.cancel()
		f.expectWorkers("while the run ends", 15*time.Second)
		f.expectWorkers("after that", 2*time.Second, 1)
		if err := <-leader.done; err != nil {
			t.Error(err)
		}
	})
}

func TestALostLeaseCutsTheRunShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fleet{store: &store{}, t: t}
		var cause error
		leader := f.join(func(ctx context.Context) error {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return ctx.Err()
		})
		f.join(nil)
		defer f.stop()
		f.worked(time.Second)
		leader.link.fail(down, nil)
		wait(ttl)
		if !errors.Is(cause, errLeaseLapsed) {
			t.Errorf("run ended by %v, want the lapsed lease", cause)
		}
		if s := leader.Status(); s.Jobs[0].Running || s.Jobs[0].Result != "" || s.Leader {
			t.Errorf("status %+v", s)
		}
		if got := leader.results(); got[Failed] != 0 {
			t.Errorf("told of %v, want no failure", got)
		}
		f.expectWorkers("then", 2*time.Second, 1)
	})
}

func TestARunThatIsCutShortDoesNotCostTheFirstRunOfTheNextTerm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ran journal
		l := &link{store: new(store)}
		begun := time.Now()
		r := start(t, Options{Lease: l, LeaseTTL: ttl, Grace: grace, Jobs: []Job{{
			Name: "cleanup", Schedule: "@daily", Leader: true, Run: func(ctx context.Context) error {
				ran.run(ctx)
				if len(ran.starts) > 1 {
					return nil
				}
				<-ctx.Done()
				time.Sleep(5 * time.Second)
				return ctx.Err()
			},
		}}})
		r.setClock(time.Minute) // the lease seems to have lapsed, and is ours still
		wait(10 * time.Second)
		if got := ran.since(begun); len(got) != 2 {
			t.Errorf("ran at %v, want again when the first run had ended", got)
		}
		if got := r.results(); got[Skipped] != 0 {
			t.Errorf("results %v", got)
		}
		r.stop()
	})
}

func TestANewLeaderIsGivenThreeScheduledTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := new(store)
		shared.give("other", time.Hour)
		r := start(t, Options{Lease: &link{store: shared}, LeaseTTL: ttl, Grace: grace, Jobs: []Job{{
			Name: "trim", Schedule: "@every 30s", Leader: true, Run: func(context.Context) error { return errors.New("broken") },
		}}})
		for _, step := range []struct {
			pass time.Duration
			want []string
		}{
			{59 * time.Minute, nil},              // a follower has none
			{time.Minute + 80*time.Second, nil},  // led for some 80 s
			{15 * time.Second, []string{"trim"}}, // 95 s
			{10 * time.Minute, []string{"trim"}}, // and stays so
		} {
			wait(step.pass)
			if got := r.Status().Overdue(); !slices.Equal(got, step.want) {
				t.Errorf("overdue %v, want %v", got, step.want)
			}
		}
		r.stop()
	})
}

func TestALeaderThatReturnsIsNotBlamedForTheTimeBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := new(store)
		var broken atomic.Bool
		r := start(t, Options{Lease: &link{store: shared}, LeaseTTL: ttl, Grace: grace, Jobs: []Job{{
			Name: "trim", Schedule: "@every 30s", Leader: true, Run: func(context.Context) error {
				if broken.Load() {
					return errors.New("broken")
				}
				return nil
			},
		}}})
		wait(time.Minute)
		shared.give("other", 10*time.Minute)
		wait(9 * time.Minute)
		if s := r.Status(); s.Leader || s.Lease != LeaseStandby || len(s.Overdue()) != 0 {
			t.Errorf("status %+v, want a follower without an overdue job", s)
		}
		broken.Store(true)
		wait(time.Minute + 80*time.Second)
		if s := r.Status(); !s.Leader || len(s.Overdue()) != 0 {
			t.Errorf("status %+v, want a leader without an overdue job", s)
		}
		wait(15 * time.Second)
		if s := r.Status(); len(s.Overdue()) != 1 {
			t.Errorf("status %+v, want an overdue job", s)
		}
		r.stop()
	})
}

func TestAJobOfEveryReplicaRunsOnFollowersToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := new(store)
		shared.give("other", time.Hour)
		begun := time.Now()
		var all, led journal
		r := start(t, Options{Lease: &link{store: shared}, LeaseTTL: ttl, Grace: grace, Jobs: []Job{
			{Name: "all", Schedule: "@every 30s", Run: all.run},
			{Name: "led", Schedule: "@every 30s", Leader: true, Run: led.run},
		}})
		wait(time.Minute)
		if a, l := len(all.since(begun)), len(led.since(begun)); a != 3 || l != 0 {
			t.Errorf("%d and %d runs, want 3 and 0", a, l)
		}
		r.stop()
	})
}

func TestTheStopOfAFollowerTouchesNobodysLease(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		if err := f.members[2].stop(); err != nil {
			t.Fatal(err)
		}
		f.expectWorkers("afterwards", time.Minute, 0)
	})
}
