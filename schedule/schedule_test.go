package schedule

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/rescue"
)

const grace = 20 * time.Second

func TestNewNamesEveryFault(t *testing.T) {
	run := func(context.Context) error { return nil }
	_, err := New(Options{
		Jobs: []Job{
			{Name: "trim", Schedule: "@every 5ms", Run: run},
			{Name: "trim", Schedule: "@hourly", Run: run},
			{Name: "idle", Schedule: "@hourly"},
			{Schedule: "@hourly", Run: run},
		},
		Lease: &link{}, LeaseTTL: time.Millisecond, Grace: -1,
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		`job "trim": schedule "@every 5ms"`, `job "trim" is there twice`, `job "idle": there is nothing to run`,
		"a name is missing", "lease TTL 1ms", "cannot be negative",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not say %q:\n%v", want, err)
		}
	}
}

func TestAJobStartsAtOnceAndThenOnSchedule(t *testing.T) {
	tests := []struct {
		name, spec string
		want       []time.Duration
	}{
		{"an interval", "@every 30s", []time.Duration{0, 30 * time.Second, time.Minute}},
		{"an expression", "* * * * *", []time.Duration{0, time.Minute}},
		{"an expression with seconds", "*/25 * * * * *", []time.Duration{0, 25 * time.Second, 50 * time.Second, 60 * time.Second}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now() // midnight
				var ran journal
				r := start(t, Options{Jobs: []Job{{Name: "job", Schedule: tt.spec, Run: ran.run}}, Grace: grace})
				wait(65 * time.Second)
				if got := ran.since(begun); !slices.Equal(got, tt.want) {
					t.Errorf("started at %v, want %v", got, tt.want)
				}
				if err := r.stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestStartsAreSpread(t *testing.T) {
	tests := []struct {
		name, spec   string
		first, phase time.Duration // bounds of the first start, and of later ones behind schedule
	}{
		{"within ten seconds", "@every 5m", DefaultSpread, DefaultSpread},
		{"within a period that is shorter", "@every 2s", 2 * time.Second, 2 * time.Second},
		{"an expression within ten seconds of its time", "*/5 * * * *", DefaultSpread, DefaultSpread},
		{"an expression within a tenth of a short period", "*/2 * * * * *", 2 * time.Second, 200 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			offsets := make(map[time.Duration]bool)
			for range 20 {
				synctest.Test(t, func(t *testing.T) {
					begun := time.Now()
					var ran journal
					r := start(t, Options{Jobs: []Job{{Name: "job", Schedule: tt.spec, Run: ran.run}}, Grace: grace, Spread: DefaultSpread})
					schedule, err := ParseSchedule(tt.spec)
					if err != nil {
						t.Fatal(err)
					}
					tick := schedule.Next(begun)
					if wait(tick.Sub(begun) + tt.first); len(ran.since(begun)) < 2 {
						t.Fatalf("started at %v only", ran.since(begun))
					}
					starts := ran.since(begun)
					if starts[0] >= tt.first {
						t.Errorf("first start after %s, want under %s", starts[0], tt.first)
					}
					if starts = ran.since(tick); starts[0] >= tt.phase {
						t.Errorf("start %s after its time, want under %s", starts[0], tt.phase)
					}
					offsets[starts[0]] = true
					r.stop()
				})
			}
			if len(offsets) < 15 {
				t.Errorf("20 installations start at only %d different times", len(offsets))
			}
		})
	}
}

func TestARunThatIsStillGoingMakesTheNextOnesSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int32
		r := start(t, Options{Grace: grace, Jobs: []Job{{Name: "slow", Schedule: "@every 10s", Run: func(ctx context.Context) error {
			most.Store(max(most.Load(), running.Add(1)))
			sleep(ctx, 35*time.Second)
			running.Add(-1)
			return nil
		}}}})
		wait(36 * time.Second)
		if got := r.results(); got[OK] != 1 || got[Skipped] != 3 {
			t.Errorf("after one long run: %v, want 1 ok and 3 skipped", got)
		}
		wait(5 * time.Second) // 41 s: the run of second 40 is on its way
		if status := r.Status().Jobs[0]; !status.Running {
			t.Error("the next run did not start on schedule")
		}
		if err := r.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		if most.Load() != 1 {
			t.Errorf("%d runs at once", most.Load())
		}
	})
}

func TestAPanicIsAFailedRunWithItsStackInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		first := true
		r := start(t, Options{
			Log: slog.New(slog.NewTextHandler(&log, nil)), Grace: grace,
			Jobs: []Job{{Name: "bad", Schedule: "@every 30s", Run: func(context.Context) error {
				if first {
					first = false
					panic("out of cheese")
				}
				return nil
			}}},
		})
		wait(31 * time.Second)
		if got := r.results(); got[Failed] != 1 || got[OK] != 1 || got[Skipped] != 0 {
			t.Errorf("results %v, want the panic and the run after it", got)
		}
		if p, ok := errors.AsType[*rescue.PanicError](r.outcomes[0].Err); !ok || p.Value != "out of cheese" {
			t.Errorf("error = %v, want the panic", r.outcomes[0].Err)
		}
		r.stop()
		for _, want := range []string{"level=ERROR", "job=bad", "panic: out of cheese", "schedule_test.go"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("log does not say %q:\n%s", want, log.String())
			}
		}
	})
}

func TestAPanicOfWhoHearsOfARunEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := start(t, Options{
			Log: slog.New(slog.NewTextHandler(&log, nil)), Grace: grace,
			Jobs: []Job{
				{Name: "good", Schedule: "@every 30s", Run: func(context.Context) error { return nil }},
				{Name: "long", Schedule: "@every 30s", Run: func(ctx context.Context) error { <-ctx.Done(); return nil }},
			},
			OnRun: func(o Outcome) { panic("no label for " + o.Job) },
		})
		wait(61 * time.Second)
		if got := r.results(); got[OK] != 3 || got[Skipped] != 2 {
			t.Errorf("results %v, want three runs and two that were skipped", got)
		}
		r.stop()
		for _, want := range []string{"level=ERROR", "cannot report run", "job=good", "job=long", "panic: no label for long", "schedule_test.go"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("log does not say %q:\n%s", want, log.String())
			}
		}
	})
}

func TestAClockThatIsSetCausesNoBurstAndNoPause(t *testing.T) {
	for _, spec := range []string{"@every 30s", "*/30 * * * * *"} {
		for _, jump := range []time.Duration{48 * time.Hour, 95 * time.Second, -48 * time.Hour, -10 * time.Minute} {
			t.Run(spec+" "+jump.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var ran journal
					r := start(t, Options{Jobs: []Job{{Name: "job", Schedule: spec, Run: ran.run}}, Grace: grace})
					wait(40 * time.Second)
					r.setClock(jump)
					jumped := time.Now()
					wait(91 * time.Second)
					starts := ran.since(jumped)
					if n := len(starts); n < 3 || n > 4 {
						t.Errorf("%d starts in 91 s after the jump: %v", n, starts)
					}
					if len(starts) > 0 && starts[0] > 31*time.Second {
						t.Errorf("first start %s after the jump", starts[0])
					}
					r.stop()
				})
			})
		}
	}
}

func TestEveryRunHasADeadline(t *testing.T) {
	tests := []struct {
		name, spec string
		want       time.Duration
	}{
		{"five minutes at least", "@every 10s", 5 * time.Minute},
		{"ten periods", "@every 2m", 20 * time.Minute},
		{"a day at most", "0 3 * * 0", 24 * time.Hour},
		{"a day at most, without overflow", "@every 366d", 24 * time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, Options{Grace: grace, Jobs: []Job{{Name: "hung", Schedule: tt.spec, Run: func(ctx context.Context) error {
					<-ctx.Done()
					return ctx.Err()
				}}}})
				wait(tt.want - time.Second)
				if n := r.results()[Failed]; n != 0 {
					t.Fatal("ended before its deadline")
				}
				wait(time.Second)
				if n := r.results()[Failed]; n != 1 {
					t.Fatalf("not failed at its deadline: %v", r.results())
				}
				if err := r.Status().Jobs[0].LastError; !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errDeadline) {
					t.Errorf("error = %v", err)
				}
				r.stop()
			})
		})
	}
}

func TestStopEndsRunsWithoutCallingThemFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Options{Grace: grace, Jobs: []Job{{Name: "job", Schedule: "@every 10s", Run: func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(3 * time.Second) // the slice in hand
			return ctx.Err()
		}}}})
		wait(time.Second)
		begun := time.Now()
		r.cancel()
		synctest.Wait()
		if s := r.Status(); !s.Stopping {
			t.Error("the status does not say that it is stopping")
		}
		if err := <-r.done; err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took != 3*time.Second {
			t.Errorf("stopped after %s, want when the slice was done", took)
		}
		if got := r.results(); len(got) != 0 {
			t.Errorf("told of %v", got)
		}
		if s := r.Status().Jobs[0]; s.Result != Stopped || s.LastError != nil || s.Running {
			t.Errorf("status %+v", s)
		}
		if got := r.leadership(); !slices.Equal(got, []bool{true, false}) {
			t.Errorf("leadership %v", got)
		}
	})
}

func TestStopGivesUpOnAJobThatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Options{Grace: grace, Jobs: []Job{{Name: "deaf", Schedule: "@hourly", Run: func(context.Context) error {
			time.Sleep(time.Hour)
			return nil
		}}}})
		begun := time.Now()
		if err := r.stop(); !errors.Is(err, ErrGraceExceeded) {
			t.Errorf("stop = %v, want ErrGraceExceeded", err)
		}
		if took := time.Since(begun); took > grace {
			t.Errorf("took %s, which is longer than the grace", took)
		}
		wait(time.Hour) // for the bubble to end
	})
}

func TestStatusTellsWhatAJobDid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now().UTC()
		fault := errors.New("broken")
		var runs int
		r := start(t, Options{Grace: grace, Jobs: []Job{{Name: "job", Schedule: "@every 30s", Run: func(context.Context) error {
			time.Sleep(2 * time.Second)
			if runs++; runs == 2 {
				return fault
			}
			return nil
		}}}})
		r.setClock(time.Hour)
		wait(35 * time.Second)
		hour := begun.Add(time.Hour)
		got := r.Status()
		want := JobStatus{
			Name: "job", Schedule: "@every 30s", Result: Failed, LastDuration: 2 * time.Second,
			LastStart: hour.Add(30 * time.Second), LastSuccess: hour.Add(2 * time.Second),
			LastFailure: hour.Add(32 * time.Second), LastError: fault, NextRun: hour.Add(time.Minute),
		}
		if got.Jobs[0] != want {
			t.Errorf("status\n%+v, want\n%+v", got.Jobs[0], want)
		}
		if !got.Leader || got.Lease != LeaseNone || got.Stopping {
			t.Errorf("status %+v, want a leader without lease", got)
		}
		r.stop()
	})
}

func TestAJobIsOverdueAfterThreeScheduledTimesWithoutSuccess(t *testing.T) {
	for _, spec := range []string{"@every 30s", "*/30 * * * * *"} {
		t.Run(spec, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var broken atomic.Bool
				broken.Store(true)
				r := start(t, Options{Grace: grace, Jobs: []Job{{Name: "job", Schedule: spec, Run: func(context.Context) error {
					if broken.Load() {
						return errors.New("broken")
					}
					return nil
				}}}})
				check := func(when string, want bool) {
					t.Helper()
					if got := len(r.Status().Overdue()) == 1; got != want {
						t.Errorf("%s: overdue = %v, want %v", when, got, want)
					}
				}
				wait(89 * time.Second)
				check("89 s after start", false)
				broken.Store(false)
				wait(2 * time.Second)
				check("after a success", false)
				broken.Store(true)
				wait(85 * time.Second) // 176 s, the success was at 90 s
				check("86 s after the success", false)
				wait(5 * time.Second)
				check("91 s after the success", true)
				broken.Store(false)
				wait(30 * time.Second)
				check("after the next success", false)
				r.stop()
			})
		})
	}
}
