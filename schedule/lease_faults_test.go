package schedule

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestALeaderWithoutRedisGoesOnUntilItsLeaseLapses(t *testing.T) {
	faults := []struct {
		name         string
		first, later func(context.Context) error
		clock        time.Duration
	}{
		{name: "refused", first: down, later: down},
		{name: "silent", first: hang, later: hang},
		{name: "refused and then silent", first: down, later: hang},
		{name: "refused and its clock set back", first: down, later: down, clock: -time.Hour},
	}
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				f.worked(time.Second) // the lease is from second 0
				for _, m := range f.members {
					m.setClock(fault.clock)
					m.link.fail(fault.first, nil)
				}
				f.expectWorkers("for what is left of the TTL", 7*time.Second, 0)
				for _, m := range f.members {
					m.link.fail(fault.later, nil)
				}
				f.expectWorkers("for what is left of the TTL", ttl-8*time.Second-time.Millisecond, 0)
				f.expectLeaders("up to its end", 0)
				wait(time.Millisecond)
				f.expectLeaders("after a TTL")
				f.expectWorkers("until it is back", time.Minute)
				for _, m := range f.members {
					m.link.fail(nil, nil)
				}
				if workers := f.worked(ttl); len(workers) != 1 {
					t.Errorf("%v worked when it was back, want one", workers)
				}
			})
		})
	}
}

func TestAShortOutageGoesUnnoticed(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		f.worked(9 * time.Second) // renewed at 4.7 s, to lapse at 18.7 s
		f.members[0].link.fail(down, nil)
		f.worked(8 * time.Second)
		f.members[0].link.fail(nil, slow)
		f.expectWorkers("afterwards", time.Minute, 0)
		if got := f.members[0].leadership(); !slices.Equal(got, []bool{true}) {
			t.Errorf("leadership %v, want it uninterrupted", got)
		}
	})
}

func TestAFollowerSaysWhyItCannotAskForTheLease(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		f.worked(time.Second)
		f.members[1].link.fail(down, nil)
		wait(ttl)
		if s := f.members[1].Status(); s.Leader || !errors.Is(s.LeaseError, errNoRoute) {
			t.Errorf("status %+v, want a follower that says why", s)
		}
		f.members[1].link.fail(nil, nil)
		wait(ttl)
		if s := f.members[1].Status(); s.Leader || s.LeaseError != nil {
			t.Errorf("status %+v, want a follower with nothing wrong", s)
		}
	})
}

func TestAPanicInTheElectionIsAFailedOne(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		f.worked(time.Second)
		for _, m := range f.members {
			m.link.fail(func(context.Context) error { panic("an odd reply") }, nil)
		}
		wait(2 * ttl)
		f.expectLeaders("after a TTL")
		for _, m := range f.members {
			if s := m.Status(); s.LeaseError == nil || s.LeaseError.Error() != "panic: an odd reply" {
				t.Errorf("status %+v, want a follower that says why", s)
			}
			m.link.fail(nil, nil)
		}
		if workers := f.worked(ttl); len(workers) != 1 {
			t.Errorf("%v worked when it was over, want one", workers)
		}
	})
}

func TestASuspendedLeaderStandsDownWhenItWakes(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		f.worked(7 * time.Second)
		// A suspended machine shows in its wall clock alone. To the store it is silent,
		// and another has taken the lease when it wakes.
		f.give("", 0)
		f.worked(1800 * time.Millisecond) // the next renewal of the sleeper is not due yet, its next run is first
		if got := f.leaders(); len(got) != 2 {
			t.Fatalf("leaders %v, want the sleeper and another", got)
		}
		f.members[0].setClock(time.Hour)
		before := time.Now()
		wait(1100 * time.Millisecond)
		if got := f.members[0].ran.since(before.Add(time.Millisecond)); len(got) != 0 {
			t.Errorf("the sleeper started runs at %v after waking", got)
		}
		if got := f.leaders(); len(got) != 1 || got[0] == 0 {
			t.Errorf("leaders %v, want the other alone", got)
		}
	})
}

func TestAnAnswerThatComesAfterTheLeaseLapsedGivesNothing(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		f.worked(4 * time.Second)
		// Frozen (SIGSTOP) while the renewal's answer is under way.
		f.members[0].link.fail(nil, func(context.Context) error {
			time.Sleep(2 * ttl)
			return nil
		})
		f.worked(2*ttl + 2*time.Second)
		f.members[0].link.fail(nil, nil)
		wait(time.Second)
		if got := f.leaders(); len(got) != 1 || got[0] == 0 {
			t.Errorf("leaders %v, want one of the others", got)
		}
		if workers := f.worked(time.Minute); len(workers) != 1 || workers[0] == 0 {
			t.Errorf("%v worked, want one of the others", workers)
		}
	})
}

func TestAFollowerThatWasFrozenWhileItAskedDoesNotLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fleet{store: new(store), t: t}
		f.give("other", time.Second)
		m := f.join(nil)
		m.link.fail(nil, func(context.Context) error {
			if f.owner() != "other" {
				time.Sleep(2 * ttl)
			}
			return nil
		})
		wait(ttl + time.Second)
		f.give("other", time.Hour)
		wait(time.Minute)
		if got := m.leadership(); len(got) != 0 {
			t.Errorf("leadership %v, want none", got)
		}
		f.stop()
	})
}

func TestAnAcquisitionThatMeetsAStopIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fleet{store: new(store), t: t}
		f.give("other", 500*time.Millisecond)
		m := f.join(nil)
		m.link.fail(nil, func(ctx context.Context) error {
			if owner := f.owner(); owner != "" && owner != "other" {
				<-ctx.Done() // the answer is there when the stop is
			}
			return nil
		})
		wait(1500 * time.Millisecond)
		if owner := f.owner(); owner == "" || owner == "other" {
			t.Fatal("the lease was not asked for")
		}
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		if got := m.leadership(); len(got) != 0 {
			t.Errorf("leadership %v, want none", got)
		}
		if f.owner() != "" {
			t.Error("the lease was not given back")
		}
	})
}

func TestALeaseThatIsStillOursIsTakenUpAgainAtOnce(t *testing.T) {
	faults := []struct {
		name   string
		strike func(f *fleet)
	}{
		{"after the wall clock was set forward", func(f *fleet) { f.members[0].setClock(time.Hour) }},
		{"after it was evicted", func(f *fleet) { f.give("", 0); wait(0) }},
	}
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, 1)
				defer f.stop()
				f.worked(7 * time.Second)
				fault.strike(f)
				f.expectWorkers("in the next seconds", 2100*time.Millisecond, 0)
				f.worked(ttl)
				f.expectLeaders("later", 0)
			})
		})
	}
}

func TestAnAcquisitionWithoutAnswerIsFoundAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2)
		defer f.stop()
		f.members[1].link.fail(nil, hang) // carries calls out and loses the answers
		f.members[0].stop()
		wait(10 * time.Second)
		f.expectLeaders("while answers are lost")
		f.members[1].link.fail(nil, nil)
		f.expectWorkers("with the first answer", 6*time.Second, 1)
	})
}

func TestOutOfMemoryTheHolderGoesOnAloneAndUninterrupted(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		f.worked(7 * time.Second)
		f.fill(true)
		f.expectWorkers("for an hour", time.Hour, 0)
		if got := f.members[0].leadership(); !slices.Equal(got, []bool{true}) {
			t.Errorf("leadership %v, want it uninterrupted", got)
		}
	})
}

func TestOutOfMemoryWithoutHolderTheJobsRunWithoutLease(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		f.worked(7 * time.Second)
		f.fill(true)
		f.members[0].kill()
		if workers := f.worked(2 * ttl); len(workers) == 0 {
			t.Fatal("nobody worked")
		}
		if s := f.members[1].Status(); !s.Leader || s.Lease != LeaseUnwritable || !errors.Is(s.LeaseError, ErrLeaseUnwritable) {
			t.Errorf("status %+v, want a leader without lease, and why", s)
		}
		f.fill(false)
		wait(ttl)
		if s := f.members[1].Status(); s.LeaseError != nil {
			t.Errorf("status %+v, want nothing wrong when there is memory again", s)
		}
		if got := f.leaders(); len(got) != 1 {
			t.Errorf("leaders %v, want one when there is memory again", got)
		}
		if workers := f.worked(time.Minute); len(workers) != 1 {
			t.Errorf("%v worked, want one when there is memory again", workers)
		}
	})
}

func TestATermThatGoesOnAfterADoubtDoesNotSpreadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ran journal
		r := start(t, Options{Lease: &link{store: new(store)}, LeaseTTL: ttl, Grace: grace, Spread: time.Hour, Jobs: []Job{{
			Name: "cleanup", Schedule: "@every 24h", Leader: true, Run: ran.run,
		}}})
		wait(time.Hour)
		r.setClock(time.Minute)
		doubt := time.Now()
		wait(ttl / 2)
		if got := ran.since(doubt); len(got) != 1 {
			t.Errorf("ran at %v, want once", got)
		}
		r.stop()
	})
}

func TestAStopWithoutRedisKeepsToItsGrace(t *testing.T) {
	for name, fault := range map[string]func(context.Context) error{"refused": down, "silent": hang} {
		t.Run(name, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				wait(500 * time.Millisecond)
				for _, m := range f.members {
					m.link.fail(fault, nil)
				}
				for i, m := range f.members {
					begun := time.Now()
					if err := m.stop(); err != nil {
						t.Errorf("replica %d: %v", i, err)
					}
					if took := time.Since(begun); took > 2*time.Second {
						t.Errorf("replica %d took %s to stop", i, took)
					}
				}
			})
		})
	}
}
