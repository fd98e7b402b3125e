package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestTheWholeJobOnAClusterInEveryLayout(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, true)
	r := newFixture(c.Client, c.URL())
	for _, layouts := range [][]string{{"object"}, {"fields"}, {"keys"}, allLayouts()} {
		t.Run(strings.Join(layouts, " and "), func(t *testing.T) {
			r.fill(t, layouts...)
			plan := decode[planJSON](t, r.env.MustRun(t, "plan", "-o", "json"))
			n := int64(len(layouts))
			if s := plan.Summary; plan.Redis.Mode != "cluster" || s.Streams != 9 || s.Sessions == nil || *s.Sessions != 5*n || s.TrimStreams != 3 ||
				s.ExpireSessions != 2*n || s.RetireStreams != 2 || s.Brake != "" {
				t.Errorf("the plan's summary is %+v", plan)
			}
			run := r.env.Run
			if len(layouts) > 1 {
				run = r.env.RunChecked // masters are worked on at the same time, whatever the layout
			}
			code, out, errs := run(t, "once", "-o", "json")
			if code != cli.ExitOK {
				t.Fatalf("exit %d\n%s", code, errs)
			}
			once := decode[onceJSON](t, out)
			if len(once.Jobs) != 3 || once.Jobs[2]["messages"] == 0.0 {
				t.Errorf("once says %+v", once)
			}
			r.tidy(t, layouts...)
			if again := decode[planJSON](t, r.env.MustRun(t, "plan", "-o", "json")); len(again.Actions) != 0 {
				t.Errorf("there is still to do: %v", again.lines())
			}
		})
	}
}

// movingSlots keeps three slots on the move: that of the set and the sessions,
// and those of two streams. It ends with the function that it returns.
func movingSlots(t *testing.T, c *redistest.Cluster) (stop func() (moves int)) {
	t.Helper()
	ctx := t.Context()
	var slots []int
	for _, key := range []string{"streams", "sessions", "stream:busy", "stream:dead", "sessions:keys live: 1", "sessions:keys stale-2"} {
		slots = append(slots, int(c.Client.ClusterKeySlot(ctx, key).Val()))
	}
	end, done := make(chan struct{}), make(chan int)
	go func() {
		moves := 0
		defer func() { done <- moves }()
		for to := 1; ; to = (to + 1) % 3 {
			for _, slot := range slots {
				select {
				case <-end:
					return
				default:
				}
				if err := c.Migrate(ctx, slot, to, 5*time.Millisecond); err != nil {
					t.Error(err)
					return
				}
				moves++
			}
		}
	}()
	return func() int {
		close(end)
		return <-done
	}
}

func TestTheWholeJobWhileSlotsMove(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, false)
	r := newFixture(c.Client, c.URL())
	layouts := allLayouts()
	good, bad, moves := 0, 0, 0
	for range 3 {
		r.fill(t, layouts...)
		stop := movingSlots(t, c)
		for range 3 {
			switch code, out, errs := r.env.Run(t, "once"); {
			case code == cli.ExitOK:
				good++
			case code == cli.ExitFailure && strings.Contains(errs, `"class":"moved"`):
				bad++
			default:
				t.Errorf("exit %d\n%s%s", code, out, errs)
			}
			r.keeps(t, layouts...)
		}
		moves += stop()
		r.env.MustRun(t, "once")
		r.tidy(t, layouts...)
	}
	t.Logf("%d runs went through and %d gave up while %d slots moved", good, bad, moves)
}

func TestTheWholeJobThroughSentinelsDuringAFailover(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinels(t, "")
	r := newFixture(s.Data[0].Client, s.URL())
	r.fill(t, "object", "keys")
	redistest.Await(t, "the replica to follow", func() bool {
		return s.Data[1].Client.DBSize(t.Context()).Val() == s.Data[0].Client.DBSize(t.Context()).Val()
	})
	r.env["REDIS_TIMEOUT"] = "2s"
	s.Data[0].Kill()
	// Until the Sentinels have seen it, every run fails and does no harm.
	r.client = s.Data[1].Client
	started := time.Now()
	redistest.Await(t, "a run that succeeds", func() bool {
		code, _, _ := r.env.Run(t, "once")
		r.keeps(t, "object", "keys")
		return code == cli.ExitOK
	})
	t.Logf("the first good run ended %s after the master had gone", time.Since(started).Round(time.Second/10))
	r.env.MustRun(t, "once")
	r.tidy(t, "object", "keys")
}
