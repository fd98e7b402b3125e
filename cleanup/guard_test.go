package cleanup_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/cleanup"
)

// fortySessions is the fixture of these tests: 40 sessions, of which so many are stale.
func fortySessions(t *testing.T, stale int) *fixture {
	w := newFixture(t)
	for i := range 40 {
		age := fresh
		if i < stale {
			age = old
		}
		w.session(registry.Object, fmt.Sprint(i), "a", age)
	}
	return w
}

func withGuard(o *cleanup.Options) { o.Guard = cleanup.DefaultGuard }

// heldFor makes the note of the held decision so old.
func (w *fixture) heldFor(age time.Duration) {
	w.Client.HSet(w.t.Context(), "streamkeeper:brake", "since_ms", w.now.Add(-age).UnixMilli())
}

func TestTheGuardStopsAllRemovalsAndNothingElse(t *testing.T) {
	t.Parallel()
	w := fortySessions(t, 30)
	w.entry("came back", fresh)
	w.Client.ZAdd(w.t.Context(), "streamkeeper:retired", redis.Z{Score: 5, Member: "came back"})
	w.Client.SAdd(w.t.Context(), "streams", "ghost")
	w.stream("orphan", older)
	if plan, actions := w.plan(withGuard); plan.Guard == "" || len(actions) != 32 {
		t.Errorf("the plan is %+v with %d actions", plan, len(actions))
	}
	report := w.run(withGuard)
	if report.Guard != "30 of 40 sessions would expire" || report.SessionsExpired+report.StreamsRetired != 0 ||
		report.StreamsRestored != 1 || report.Sessions != 40 || report.SessionsStale != 30 {
		t.Errorf("the report is %+v", report)
	}
	held := make(map[cleanup.Kind]int)
	for _, a := range report.Held.Examples {
		held[a.Kind]++
		if a.Session+a.Stream == "" || a.Reason == "" {
			t.Errorf("the example %+v", a)
		}
	}
	if report.Held.Expire != 30 || report.Held.Retire != 1 || report.Held.Drop != 0 || held[cleanup.Expire] != 10 || held[cleanup.Retire] != 1 {
		t.Errorf("held back is %+v", report.Held)
	}
	if !strings.Contains(w.log.String(), "not updated for 26h") {
		t.Errorf("the log has no examples:\n%s", w.log.String())
	}
	if got := len(w.sessions()); got != 40 {
		t.Errorf("%d sessions are left", got)
	}
	w.expect("listed", w.listed(), "came back", "ghost", "orphan")
	w.expect("sighted", w.Client.ZRange(w.t.Context(), "streamkeeper:sighted", 0, -1).Val(), "ghost")
}

func TestForceOverridesTheGuardAndSaysSo(t *testing.T) {
	t.Parallel()
	w := fortySessions(t, 30)
	w.run(withGuard)
	report := w.run(func(o *cleanup.Options) {
		withGuard(o)
		o.Force = true
	})
	if report.SessionsExpired != 30 || report.Guard != "" || !strings.Contains(w.log.String(), "mass-deletion guard overridden") {
		t.Errorf("the report is %+v\n%s", report, w.log.String())
	}
	if n := w.Client.Exists(w.t.Context(), "streamkeeper:brake").Val(); n != 0 {
		t.Error("the note of the held decision is still there")
	}
	if again := w.run(withGuard); again.Guard != "" {
		t.Errorf("what was forced looks like a loss: %s", again.Guard)
	}
}

func TestTheGuardLetsGoWhenTheDecisionHasStood(t *testing.T) {
	t.Parallel()
	w := fortySessions(t, 30)
	w.run(withGuard)
	w.heldFor(59 * time.Minute)
	if report := w.run(withGuard); report.Guard == "" {
		t.Error("it let go a minute early")
	}
	w.heldFor(61 * time.Minute)
	if report := w.run(withGuard); report.Guard != "" || report.SessionsExpired != 30 {
		t.Errorf("it did not let go: %+v", report)
	}
	if n := w.Client.Exists(w.t.Context(), "streamkeeper:brake").Val(); n != 0 {
		t.Error("the note of the decision outlived it")
	}
	if again := w.run(withGuard); again.Guard != "" {
		t.Errorf("what was let go looks like a loss: %s", again.Guard)
	}
}

func TestWithoutAHoldTheGuardStaysOn(t *testing.T) {
	t.Parallel()
	w := fortySessions(t, 30)
	change := func(o *cleanup.Options) {
		withGuard(o)
		o.Guard.Hold = 0
	}
	w.run(change)
	w.heldFor(1000 * time.Hour)
	if report := w.run(change); report.Guard == "" {
		t.Error("it let go")
	}
}

func TestAnotherDecisionHasToStandItself(t *testing.T) {
	t.Parallel()
	w := fortySessions(t, 30)
	w.run(withGuard)
	w.heldFor(2 * time.Hour)
	// In the meantime far more would go.
	for i := range 60 {
		w.session(registry.Keys, fmt.Sprint("more ", i), "b", old)
	}
	if report := w.run(withGuard); report.Guard == "" || report.SessionsExpired != 0 {
		t.Errorf("it let go of another decision: %+v", report)
	}
	if report := w.run(withGuard); report.Guard == "" {
		t.Error("the other decision did not have to stand")
	}
}

// As many others as before are another decision.
func TestOthersInTheirPlaceHaveToStandThemselves(t *testing.T) {
	w := newFixture(t)
	fill := func(name string) {
		for i := range 12 {
			w.session(registry.Object, fmt.Sprint(name, i), fmt.Sprint(name, i), old)
			w.stream(fmt.Sprint(name, i), older)
		}
	}
	fill("a")
	if report := w.run(withGuard); report.Guard == "" {
		t.Fatalf("%+v", report)
	}
	w.Client.Del(t.Context(), "sessions", "streams")
	fill("b")
	w.heldFor(2 * time.Hour)
	if report := w.run(withGuard); report.Guard == "" || report.SessionsExpired+report.StreamsRetired != 0 {
		t.Errorf("it let go of others: %+v", report)
	}
	w.heldFor(2 * time.Hour)
	if report := w.run(withGuard); report.Guard != "" || report.SessionsExpired != 12 {
		t.Errorf("it did not let go of what stood: %+v", report)
	}
}

func TestADecisionThatWasDroppedDoesNotStand(t *testing.T) {
	t.Parallel()
	w := fortySessions(t, 30)
	w.run(withGuard)
	w.heldFor(2 * time.Hour)
	for i := range 30 {
		w.session(registry.Object, fmt.Sprint(i), "a", fresh)
	}
	if report := w.run(withGuard); report.Guard != "" {
		t.Errorf("it is on without reason: %s", report.Guard)
	}
	for i := range 30 {
		w.session(registry.Object, fmt.Sprint(i), "a", old)
	}
	if report := w.run(withGuard); report.Guard == "" {
		t.Error("it went by the old decision")
	}
}

func TestARegistryThatWasEmptiedStopsTheRun(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(w *fixture){
		"all sessions":  func(w *fixture) { w.Client.Del(w.t.Context(), "sessions") },
		"most sessions": func(w *fixture) { w.Client.HDel(w.t.Context(), "sessions", w.sessions()[:25]...) },
		"all names":     func(w *fixture) { w.Client.Del(w.t.Context(), "streams") },
	} {
		t.Run(name, func(t *testing.T) {
			w := fortySessions(t, 0)
			for i := range 30 {
				w.stream(fmt.Sprint("used ", i), older)
				w.session(registry.Object, fmt.Sprint(i), fmt.Sprint("used ", i), fresh)
			}
			w.run(withGuard)
			lose(w)
			w.stream("orphan", older)
			report := w.run(withGuard)
			if !strings.Contains(report.Guard, "the last run left") || report.StreamsRetired != 0 {
				t.Errorf("the report is %+v", report)
			}
			if got := len(w.keys()); got != 31 {
				t.Errorf("%d streams are left", got)
			}
			if name == "all names" {
				// What sessions name is listed again, so the second run finds nothing amiss.
				if again := w.run(withGuard); report.StreamsRestored != 30 || again.Guard != "" || again.StreamsRetired != 1 {
					t.Errorf("first %+v, then %+v", report, again)
				}
				return
			}
			// It goes on being a loss until the decision has stood.
			if report := w.run(withGuard); report.Guard == "" {
				t.Error("the second run took the loss for normal")
			}
			w.heldFor(2 * time.Hour)
			if report := w.run(withGuard); report.Guard != "" {
				t.Errorf("it did not let go: %s", report.Guard)
			}
		})
	}
}

func TestSessionsThatExpireByThemselvesAreNoLoss(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	for i := range 40 {
		w.session(registry.Keys, fmt.Sprint(i), "a", fresh)
	}
	w.run(withGuard)
	for i := range 40 {
		w.Client.Del(w.t.Context(), "sessions:"+fmt.Sprint(i))
	}
	if report := w.run(withGuard); report.Guard != "" {
		t.Errorf("the guard is on: %s", report.Guard)
	}
}

// laterStore has its own idea of what time it is.
type laterStore struct {
	*buffer.Buffer
	later time.Duration
}

func (s *laterStore) Now(ctx context.Context) (time.Time, error) {
	now, err := s.Buffer.Now(ctx)
	return now.Add(s.later), err
}

func TestOutOfMemoryTheHoldIsKeptInMindAsLongAsTheProcessRuns(t *testing.T) {
	t.Parallel()
	w := fortySessions(t, 30)
	w.Client.ConfigSet(w.t.Context(), "maxmemory", "1")
	store := &laterStore{Buffer: w.open(w.URL(), nil)}
	run := func(c *cleanup.Cleaner, later time.Duration) cleanup.Report {
		t.Helper()
		store.later = later
		report, err := c.Run(w.t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	daemon := cleanup.New(store, w.options(withGuard))
	const unnoted = "30 of 40 sessions would expire; Redis has no memory left to note since when"
	for _, later := range []time.Duration{0, 5 * time.Minute, 59 * time.Minute} {
		w.log.Reset()
		if report := run(daemon, later); report.Guard != unnoted || !strings.Contains(w.log.String(), "once --force cleanup") {
			t.Errorf("after %s: %q\n%s", later, report.Guard, w.log.String())
		}
	}
	if report := run(cleanup.New(store, w.options(withGuard)), 2*time.Hour); report.Guard != unnoted {
		t.Errorf("another process knows since when: %q", report.Guard)
	}
	if report := run(daemon, 61*time.Minute); report.Guard != "" || report.SessionsExpired != 30 {
		t.Errorf("it did not let go: %+v", report)
	}
}

func TestAHoldInMindIsNotedOnceThereIsMemory(t *testing.T) {
	t.Parallel()
	w := fortySessions(t, 30)
	store := &laterStore{Buffer: w.open(w.URL(), nil)}
	daemon := cleanup.New(store, w.options(withGuard))
	for step, memory := range []string{"1", "0"} {
		w.Client.ConfigSet(w.t.Context(), "maxmemory", memory)
		store.later = time.Duration(step) * 30 * time.Minute
		if report, err := daemon.Run(w.t.Context()); err != nil || report.Guard == "" {
			t.Fatal(report, err)
		}
	}
	since, err := w.Client.HGet(w.t.Context(), "streamkeeper:brake", "since_ms").Int64()
	if ago := time.Since(time.UnixMilli(since)); err != nil || ago > time.Minute {
		t.Errorf("it is noted as of %s ago, %v", ago, err)
	}
}

func TestAHoldInMindThatNoRunConfirmedForLongIsForgotten(t *testing.T) {
	t.Parallel()
	w := fortySessions(t, 30)
	w.Client.ConfigSet(w.t.Context(), "maxmemory", "1")
	store := &laterStore{Buffer: w.open(w.URL(), nil)}
	daemon := cleanup.New(store, w.options(withGuard))
	for _, later := range []time.Duration{0, 3 * time.Hour} {
		store.later = later
		if report, err := daemon.Run(w.t.Context()); err != nil || report.Guard == "" {
			t.Errorf("after %s: %+v, %v", later, report, err)
		}
	}
}
