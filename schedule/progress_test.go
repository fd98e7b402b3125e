package schedule

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestALeaderWhoseRunHangsGivesTheLeaseUp(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		leader := f.members[0]
		release := make(chan struct{})
		wait(10 * time.Second)
		leader.stuck.Store(&release)
		// Three periods, the TTL, and what the elector rests between.
		f.expectWorkers("until the run is taken for one that hangs", 10*time.Second)
		if workers := f.worked(2 * ttl); len(workers) != 1 || workers[0] == 0 {
			t.Fatalf("%v worked, want a follower", workers)
		}
		if s := leader.Status(); s.Leader || s.Lease != LeaseStandby || !s.Jobs[0].Hangs || !s.Jobs[0].Running {
			t.Errorf("the one that hangs is at %+v", s)
		}
		if err := leader.Alive(); err != nil {
			t.Errorf("its scheduler turns: %v", err)
		}
		// It does not ask for what it could not use.
		for _, m := range f.members[1:] {
			m.kill()
		}
		f.expectLeaders("while the run hangs", wait2(4*ttl)...)
		close(release)
		f.expectWorkers("when it has ended", 4*time.Second, 0)
		if s := leader.Status(); s.Jobs[0].Hangs || s.Jobs[0].LastError != nil {
			t.Errorf("afterwards it is at %+v", s)
		}
	})
}

// wait2 lets time pass, and is no leader.
func wait2(d time.Duration) []int {
	wait(d)
	return nil
}

func TestALongRunBesideOthersThatEndKeepsTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Options{
			Lease: &link{store: new(store)}, LeaseTTL: ttl, Grace: grace,
			Jobs: []Job{
				{Name: "long", Schedule: "@every 1s", Leader: true, Run: func(ctx context.Context) error { sleep(ctx, 4*time.Minute); return ctx.Err() }},
				{Name: "other", Schedule: "@every 10s", Leader: true, Run: func(context.Context) error { return errors.New("failed, which is an end too") }},
			},
		})
		wait(10 * time.Minute)
		if got := r.leadership(); !slices.Equal(got, []bool{true}) {
			t.Errorf("the leadership changed: %v", got)
		}
		r.stop()
	})
}

func TestARareJobIsNotTakenForOneThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Options{
			Lease: &link{store: new(store)}, LeaseTTL: ttl, Grace: grace,
			Jobs: []Job{{Name: "rare", Schedule: "*/5 9-10 * * *", Leader: true, Run: func(context.Context) error { return nil }}},
		})
		wait(36 * time.Hour) // from midnight over the night to the second noon
		if got := r.leadership(); !slices.Equal(got, []bool{true}) {
			t.Errorf("the leadership changed: %v", got)
		}
		r.stop()
	})
}

func TestASchedulerThatStandsStillIsNotAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &link{store: new(store)}
		r := start(t, Options{Lease: l, LeaseTTL: ttl, Grace: grace, Jobs: []Job{
			{Name: "trim", Schedule: "@every 1h", Leader: true, Run: func(context.Context) error { return nil }},
		}})
		wait(2 * time.Hour)
		if err := r.Alive(); err != nil {
			t.Errorf("while it turns: %v", err)
		}
		release := make(chan struct{})
		l.fail(func(context.Context) error { <-release; return errNoRoute }, nil) // whatever its context says
		wait(time.Minute)
		if err := r.Alive(); err == nil {
			t.Error("its election stands still, and it says that it is alive")
		}
		close(release)
		wait(2 * time.Second)
		if err := r.Alive(); err != nil {
			t.Errorf("when it turns again: %v", err)
		}
		r.stop()
	})
}

func TestAFormerLeaderTellsNoOldNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := new(store)
		fail := errors.New("failed")
		r := start(t, Options{Lease: &link{store: shared}, LeaseTTL: ttl, Grace: grace, Jobs: []Job{
			{Name: "trim", Schedule: "@every 1s", Leader: true, Run: func(context.Context) error { return fail }},
			{Name: "ours", Schedule: "@every 1s", Run: func(context.Context) error { return fail }},
		}})
		wait(10 * time.Second)
		shared.give("another", time.Hour)
		wait(2 * ttl)
		jobs := r.Status().Jobs
		if jobs[0] != (JobStatus{Name: "trim", Schedule: "@every 1s"}) {
			t.Errorf("of the leader's job it says %+v", jobs[0])
		}
		if jobs[1].LastError == nil {
			t.Errorf("of its own job it says %+v", jobs[1])
		}
		r.stop()
	})
}
