package cleanup_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestTwelveOpenSessionsDoNotGoAtOnceAndFiveClosedOnesDo(t *testing.T) {
	t.Parallel()
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			w := newFixture(t)
			for i := range 12 {
				state := `"closed"`
				if i == 11 {
					state = "2"
				}
				w.described(layout, fmt.Sprint("open ", i), "s", 7, old, stated(state))
			}
			report := w.run(withGuard)
			if !strings.HasPrefix(report.Guard, "all 12 sessions would expire") || report.SessionsExpired != 0 {
				t.Errorf("%+v", report)
			}
			if until := report.GuardUntil.Sub(report.GuardSince); until != time.Hour || !strings.Contains(w.log.String(), "until=") {
				t.Errorf("it holds for %s\n%s", until, w.log.String())
			}
			if plan, actions := w.plan(withGuard); plan.Guard == "" || len(actions) != 12 || !plan.GuardSince.Equal(report.GuardSince.Truncate(time.Millisecond)) {
				t.Errorf("%+v", plan)
			}
			// Once its hold is over, neither plan nor run is stopped.
			w.heldFor(61 * time.Minute)
			if plan, _ := w.plan(withGuard); plan.Guard != "" {
				t.Errorf("the plan shows the guard after its hold: %s", plan.Guard)
			}
			w.described(layout, "open 11", "s", 7, old, stated("4"))
			w.Client.Del(t.Context(), "streamkeeper:brake")
			if report := w.run(withGuard); report.Guard != "" || report.SessionsExpired != 12 {
				t.Errorf("all closed: %+v", report)
			}
		})
	}
}

func TestAllStreamsDoNotGoWhileSessionsRemain(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	for i := range 3 {
		w.stream(fmt.Sprint("dead ", i), older)
	}
	w.session(registry.Object, "a", "elsewhere", fresh)
	if report := w.run(withGuard); report.Guard != "all 3 streams would be removed, while sessions remain" || report.StreamsRetired != 0 {
		t.Errorf("%+v", report)
	}
}

func TestALostRegistryIsRestoredAndSaidLoudly(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	for i := range 8 {
		name := fmt.Sprint("car ", i)
		w.stream(name, older)
		if i < 5 {
			w.session(registry.Object, name, name, fresh)
		}
	}
	w.run(nil)
	for i := range 3 {
		w.stream(fmt.Sprint("unnamed ", i), fresh)
	}
	w.run(nil)
	w.Client.Del(t.Context(), "streams")
	plan, _ := w.plan(nil)
	if plan.StreamsRestored != 5 || plan.Lost == "" {
		t.Errorf("%+v", plan)
	}
	w.log.Reset()
	report := w.agree(nil)
	if report.StreamsRestored != 5 || report.Lost == "" || !strings.Contains(w.log.String(), "stream names are lost") {
		t.Errorf("%+v\n%s", report, w.log.String())
	}
	w.expect("listed", w.listed(), "car 0", "car 1", "car 2", "car 3", "car 4")
	if again := w.run(nil); again.Lost != "" || again.StreamsRestored != 0 {
		t.Errorf("%+v", again)
	}
	// Also where it is lost once more on the same day.
	w.Client.Del(t.Context(), "streams")
	if report := w.agree(nil); report.StreamsRestored != 5 || report.Lost == "" {
		t.Errorf("lost once more: %+v", report)
	}
	// Without sessions it goes on being said, run after run.
	w.Client.Del(t.Context(), "streams", "sessions")
	for range 3 {
		if report := w.run(nil); report.Lost == "" {
			t.Error("silence")
		}
	}
	// Once names are back, that none is left is no loss.
	for i := range 3 {
		w.stream(fmt.Sprint("back ", i), older)
	}
	if report := w.run(nil); report.Lost != "" || report.StreamsRetired != 3 {
		t.Errorf("%+v", report)
	}
	if report := w.run(nil); report.Lost != "" {
		t.Errorf("all streams retired, and it says: %s", report.Lost)
	}
}

// A run that finds something to retire looks into all layouts, and tells everything anew.
func TestWhoIsToldOfAScanIsToldThatItBeginsAnew(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.session(registry.Object, "live", "car", fresh)
	w.stream("car", fresh)
	scans, sessions := 0, 0
	cleaner := cleanup.New(w.open(w.URL(), nil), w.options(func(o *cleanup.Options) {
		o.OnScan = func() { scans++; sessions = 0 }
		o.OnSession = func(*registry.Session, cleanup.State, string) { sessions++ }
	}))
	for _, due := range []int64{0, 1} {
		report, err := cleaner.Run(t.Context())
		if err != nil || report.StreamsRetired != due || sessions != 1 {
			t.Errorf("%+v, %v; told of %d sessions", report, err, sessions)
		}
		w.stream("dead", older)
	}
	if scans != 3 {
		t.Errorf("told of %d scans", scans)
	}
}

func TestANameThatSessionsNameIsListedOnceADay(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.session(registry.Keys, "a", "car", fresh)
	w.session(registry.Keys, "b", "no messages", fresh)
	w.session(registry.Keys, "c", "no key", fresh)
	w.stream("other", fresh)
	w.entry("car", fresh)
	w.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:no messages", Values: []any{"something", "else"}})
	if report := w.agree(nil); report.StreamsRestored != 1 {
		t.Errorf("%+v", report)
	}
	w.expect("listed", w.listed(), "car", "other")
	w.Client.SRem(t.Context(), "streams", "car")
	if report := w.agree(nil); report.StreamsRestored != 0 {
		t.Errorf("taken out on purpose: %+v", report)
	}
	w.Client.ZAdd(t.Context(), "streamkeeper:relisted", redis.Z{Score: float64(w.now.Add(-25 * time.Hour).UnixMilli()), Member: "car"})
	if report := w.agree(nil); report.StreamsRestored != 1 {
		t.Errorf("a day later: %+v", report)
	}
}

func TestCountsOfDifferentSetsAreNotCompared(t *testing.T) {
	t.Parallel()
	w := fortySessions(t, 0)
	for i := range 40 {
		w.stream(fmt.Sprint("s", i), fresh)
	}
	w.run(withGuard)
	exclude, _ := buffer.ParsePatterns("s*")
	for what, change := range map[string]func(*buffer.Options){
		"patterns": func(o *buffer.Options) { o.Exclude = exclude },
		"layouts":  func(o *buffer.Options) { o.Layouts = []registry.Layout{registry.Fields} },
		"keys":     func(o *buffer.Options) { o.Names = buffer.DefaultNames; o.Names.Sessions = "others" },
	} {
		report, err := cleanup.New(w.open(w.URL(), func(o *buffer.Options) { o.ReadOnly = true; change(o) }), w.options(withGuard)).
			Plan(t.Context(), func(cleanup.Action) {})
		if err != nil || report.Guard != "" {
			t.Errorf("other %s: %q, %v", what, report.Guard, err)
		}
	}
}

func TestAKeyOfAnotherTypeAmongOurOwnStopsNothingElse(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"retired", "sighted", "relisted", "groups", "left", "brake"} {
		t.Run(key, func(t *testing.T) {
			w := newFixture(t)
			w.Client.Set(t.Context(), "streamkeeper:"+key, "x", 0)
			w.prepare(registry.Object)
			w.Client.Del(t.Context(), "streamkeeper:"+key)
			w.Client.Set(t.Context(), "streamkeeper:"+key, "x", 0)
			report := w.run(nil)
			if report.SessionsExpired != 1 || report.StreamsRetired != 2 || report.Errors != 0 {
				t.Errorf("%+v", report)
			}
			if w.Client.Get(t.Context(), "streamkeeper:"+key).Val() != "x" || !strings.Contains(w.log.String(), "streamkeeper:"+key+": string") {
				t.Errorf("the key is changed, or nothing is said:\n%s", w.log.String())
			}
		})
	}
}

func TestASightingEndsWhenASessionOwnsTheName(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.Client.SAdd(t.Context(), "streams", "ghost")
	w.sighted("ghost", old)
	w.session(registry.Object, "a", "ghost", fresh)
	w.run(nil)
	w.Client.Del(t.Context(), "sessions")
	if report := w.run(nil); report.NamesDropped != 0 {
		t.Errorf("it went on ageing: %+v", report)
	}
}

func TestAPlanWorksWithoutEvalRO(t *testing.T) {
	t.Parallel()
	w := &fixture{Server: redistest.Start(t, "--rename-command", "EVAL_RO", "", "--rename-command", "EVALSHA_RO", ""), t: t, now: time.Now()}
	w.prepare(registry.Object)
	if report := w.agree(nil); report.StreamsRetired != 2 || report.SessionsExpired != 1 {
		t.Errorf("%+v", report)
	}
}

func TestAPlanThatMayNotLookSaysWhatItCouldNotJudge(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.prepare(registry.Object)
	w.noError(w.Client.Do(t.Context(), "ACL", "SETUSER", "narrow", "on", ">pw", "~*", "+@all", "-xinfo").Err())
	b := w.open(strings.Replace(w.URL(), "redis://", "redis://narrow:pw@", 1), func(o *buffer.Options) { o.ReadOnly = true })
	report, err := cleanup.New(b, w.options(nil)).Plan(t.Context(), func(cleanup.Action) {})
	if err == nil && (report.Errors == 0 || len(report.Failed) == 0 || !strings.Contains(strings.Join(report.Failed, " "), "orphan")) {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestWhatIsLeftOnceAllHasGoneIsKnownAsOurs(t *testing.T) {
	t.Parallel()
	for _, layouts := range [][]registry.Layout{nil, {registry.Object}} {
		w := newFixture(t)
		w.session(registry.Object, "a", "car", older)
		if layouts == nil {
			w.session(registry.Keys, "b", "car", older)
		}
		w.stream("car", older)
		b := w.open(w.URL(), func(o *buffer.Options) { o.Layouts = layouts })
		report, err := cleanup.New(b, w.options(func(o *cleanup.Options) { o.Undo = cleanup.Undo{For: time.Hour, MaxBytes: 1 << 20} })).Run(t.Context())
		if err != nil || report.StreamsRetired != 1 {
			t.Fatalf("%+v, %v", report, err)
		}
		keys := w.Client.Keys(t.Context(), "*").Val()
		if own := b.CountOwnKeys(t.Context()); own != int64(len(keys)) || !slices.ContainsFunc(keys, func(key string) bool { return strings.HasPrefix(key, "streamkeeper:undo:") }) {
			t.Errorf("of %q %d are ours", keys, own)
		}
		if absence := b.Absence(t.Context()); strings.Contains(absence, "are STREAMS_KEY") {
			t.Error(absence)
		}
	}
}
