package cleanup_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestWhatIsDeadGoesAndWhatLivesStays(t *testing.T) {
	t.Parallel()
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			w := newFixture(t)
			w.session(layout, "stale", "dying", old)
			w.session(layout, "live", "used", fresh)
			w.session(layout, "ahead", "owned by one ahead", -48*time.Hour)
			w.session(layout, "flowing", "still written", old)
			for name, age := range map[string]time.Duration{
				"dying": older, "used": older, "owned by one ahead": older, "still written": fresh, "orphan": older, "young": fresh,
			} {
				w.stream(name, age)
			}
			plan, actions := w.plan(nil)
			if plan.SessionsExpired != 1 || plan.StreamsRetired != 2 || len(actions) != 3 {
				t.Errorf("the plan is %+v, %+v", plan, actions)
			}
			report := w.run(nil)
			if report.Sessions != 4 || report.SessionsStale != 1 || report.SessionsExpired != 1 || report.SessionsLive != 1 || report.SessionsFlowing != 1 ||
				report.SessionsMalformed != 1 || report.Streams != 6 || report.StreamsRetired != 2 || report.Errors != 0 {
				t.Errorf("the report is %+v", report)
			}
			w.expect("sessions", w.sessions(), "ahead", "flowing", "live")
			w.expect("listed", w.listed(), "owned by one ahead", "still written", "used", "young")
			w.expect("keys", w.keys(), "owned by one ahead", "still written", "used", "young")
			if got := strings.Count(w.log.String(), `reason=`); got != 3 {
				t.Errorf("%d records in the log:\n%s", got, w.log.String())
			}
			if again := w.run(nil); again.SessionsExpired+again.StreamsRetired+again.StreamsRestored != 0 {
				t.Errorf("the next run did %+v", again)
			}
		})
	}
}

func TestThePlanSaysWhyInWords(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.session(registry.Object, "s1", "dying", 26*time.Hour+3*time.Minute)
	w.stream("dying", older)
	w.stream("orphan", older)
	w.Client.SAdd(w.t.Context(), "streams", "ghost")
	w.sighted("ghost", old)
	_, actions := w.plan(nil)
	var got []string
	for _, a := range actions {
		got = append(got, string(a.Kind)+" "+a.Session+a.Stream+": "+a.Reason)
	}
	slices.Sort(got)
	for i, want := range []string{
		"drop-name ghost: no session, no key for 26h", "expire s1dying: not updated for 26h 3m",
		"retire dying: no session, last entry 3d", "retire orphan: no session, last entry 3d",
	} {
		if i >= len(got) || !strings.HasPrefix(got[i], want) || !strings.Contains(got[i], "(limit 24h)") {
			t.Errorf("got %q, want %q …", got, want)
		}
	}
	if dying := got[2]; !strings.HasSuffix(dying, "(limit 24h), after the expiry of its last session") {
		t.Errorf("got %q", dying)
	}
}

func TestOthersStreamsAndSessionsAreLeftAlone(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	for _, name := range []string{"ours", "theirs", "not included"} {
		w.session(registry.Keys, name, name, old)
		w.stream(name, older)
	}
	w.Client.HSet(w.t.Context(), "sessions:names none", "streamSessionId", 7, "lastUpdated", w.now.Add(-old).UnixMilli())
	include, _ := buffer.ParsePatterns("*ours,their*")
	exclude, _ := buffer.ParsePatterns("theirs")
	b := w.open(w.URL(), func(o *buffer.Options) { o.Include, o.Exclude = include, exclude })
	report, err := cleanup.New(b, w.options(nil)).Run(w.t.Context())
	if err != nil || report.Sessions != 2 || report.Streams != 1 || report.StreamsRetired != 1 {
		t.Errorf("the report is %+v, %v", report, err)
	}
	w.expect("sessions", w.sessions(), "not included", "theirs")
	w.expect("keys", w.keys(), "not included", "theirs")
}

func TestAStumpExpiresByTheSameClock(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.Client.HSet(w.t.Context(), "sessions:old stump", "streamSessionId", 7, "lastUpdated", w.now.Add(-old).UnixMilli())
	w.Client.HSet(w.t.Context(), "sessions:young stump", "streamSessionId", 7, "lastUpdated", w.now.UnixMilli())
	w.run(nil)
	w.expect("sessions", w.sessions(), "young stump")
}

func TestMalformedThingsAreToldOnceARunAndStay(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	for i := range 30 {
		w.Client.HSet(w.t.Context(), "sessions", fmt.Sprint("bad ", i), "streamName of nothing")
	}
	w.Client.SAdd(w.t.Context(), "streams", "a string", "counted")
	w.Client.Set(w.t.Context(), "stream:a string", "x", 0)
	w.Client.XAdd(w.t.Context(), &redis.XAddArgs{Stream: "stream:counted", ID: "17-1", Values: []any{"id", 1}})
	told := make(map[string]int)
	report := w.run(func(o *cleanup.Options) { o.OnMalformed = func(kind string) { told[kind]++ } })
	if report.Errors != 0 || told[cleanup.KindSession] != 30 || told[cleanup.KindStreamType] != 1 || told[cleanup.KindStreamID] != 1 {
		t.Errorf("told %v, report %+v", told, report)
	}
	if got := strings.Count(w.log.String(), "\n"); got != 3 {
		t.Errorf("%d lines in the log:\n%s", got, w.log.String())
	}
	w.expect("keys", w.keys(), "a string", "counted")
}

func TestARetiredStreamThatComesBackIsListedAgain(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.stream("comes back", older)
	w.stream("gets a session", older)
	w.stream("stays away", older)
	if report := w.run(nil); report.StreamsRetired != 3 {
		t.Fatalf("retired: %+v", report)
	}
	w.entry("comes back", fresh)
	w.session(registry.Object, "s", "gets a session", fresh)
	w.entry("never listed", fresh)
	w.Client.Set(t.Context(), "stream:stays away", "another type", 0)
	// A session alone does not bring a name back: its first message does.
	if plan, _ := w.plan(nil); plan.StreamsRestored != 1 {
		t.Errorf("the plan is %+v", plan)
	}
	w.entry("gets a session", fresh)
	_, actions := w.plan(nil)
	if len(actions) != 2 || actions[0].Kind != cleanup.Restore || actions[1].Kind != cleanup.Restore {
		t.Errorf("the plan is %+v", actions)
	}
	report := w.run(nil)
	if report.StreamsRestored != 2 {
		t.Errorf("restored: %+v", report)
	}
	w.expect("listed", w.listed(), "comes back", "gets a session")
	if again := w.run(nil); again.StreamsRestored != 0 {
		t.Errorf("restored again: %+v", again)
	}
}

// remembered are the names of the streams that are noted as retired.
func (w *fixture) remembered() []string {
	names := w.Client.ZRange(w.t.Context(), "streamkeeper:retired", 0, -1).Val()
	slices.Sort(names)
	return names
}

func TestAnSREMThatArrivesLateIsHealed(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	ctx := w.t.Context()
	w.stream("x", older)
	p := redistest.StartProxy(t, w.Addr)
	delayed := make(chan []any, 1)
	p.Set(func(command []string) redistest.Fault {
		if !strings.EqualFold(command[0], "srem") {
			return redistest.Fault{}
		}
		words := make([]any, len(command))
		for i, word := range command {
			words[i] = word
		}
		delayed <- words
		return redistest.Fault{Hole: true}
	})
	b := w.open(p.URL()+"?max_retries=-1", func(o *buffer.Options) { o.Connection.Timeout = time.Second })
	if _, err := cleanup.New(b, w.options(nil)).Run(ctx); err == nil || len(delayed) != 1 {
		t.Fatalf("the run ends with %v, and %d SREM are on their way", err, len(delayed))
	}
	// A second SREM gets through, the producer comes back, and a run sees to it.
	w.expect("listed", w.listed(), "x")
	w.entry("x", fresh)
	w.Client.SRem(ctx, "streams", "x")
	if report := w.run(nil); report.StreamsRestored != 1 {
		t.Fatalf("%+v", report)
	}
	w.Client.Do(ctx, <-delayed...)
	w.expect("listed after the late SREM", w.listed())
	if report := w.run(nil); report.StreamsRestored != 1 {
		t.Errorf("%+v", report)
	}
	w.expect("listed", w.listed(), "x")

	// An hour after the last restore nobody waits for an SREM any more.
	for _, tt := range []struct {
		ago        time.Duration
		remembered []string
	}{{59 * time.Minute, []string{"x"}}, {61 * time.Minute, nil}} {
		w.Client.ZAdd(ctx, "streamkeeper:retired", redis.Z{Score: float64(time.Now().Add(-tt.ago).UnixMilli()), Member: "x"})
		if report := w.run(nil); report.StreamsRestored != 0 {
			t.Errorf("%+v", report)
		}
		w.expect(fmt.Sprintf("remembered %s after the restore", tt.ago), w.remembered(), tt.remembered...)
	}
	w.expect("listed", w.listed(), "x")
}

func TestANameWithoutAKeyGoesWhenItHasRipened(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.Client.SAdd(w.t.Context(), "streams", "ghost", "back", "owned")
	w.session(registry.Object, "s", "owned", fresh)
	w.Client.XGroupCreateMkStream(w.t.Context(), "stream:never written", "g", "$")
	w.Client.SAdd(w.t.Context(), "streams", "never written")
	if report := w.run(nil); report.NamesDropped+report.StreamsRetired != 0 {
		t.Errorf("at the first sighting: %+v", report)
	}
	sighted := w.Client.ZRange(w.t.Context(), "streamkeeper:sighted", 0, -1).Val()
	slices.Sort(sighted)
	w.expect("sighted", sighted, "back", "ghost", "never written")

	w.entry("back", fresh)
	w.run(nil)
	w.Client.Del(w.t.Context(), "stream:back")
	for _, name := range []string{"ghost", "never written"} {
		w.sighted(name, old)
	}
	w.groupNoted("never written", "g", old)
	report := w.run(nil)
	if report.NamesDropped != 1 || report.StreamsRetired != 1 {
		t.Errorf("when ripe: %+v", report)
	}
	w.expect("listed", w.listed(), "back", "owned")

	// A dropped name is remembered like a retired one.
	w.entry("ghost", fresh)
	if report := w.run(nil); report.StreamsRestored != 1 {
		t.Errorf("when it came back: %+v", report)
	}
}

func TestAGroupThatReadsHoldsARetirementOff(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.stream("read", older)
	w.Client.XGroupCreate(w.t.Context(), "stream:read", "g", "0")
	w.Client.XReadGroup(w.t.Context(), &redis.XReadGroupArgs{Group: "g", Consumer: "c", Streams: []string{"stream:read", ">"}})
	if report := w.run(nil); report.StreamsRetired != 0 {
		t.Errorf("%+v", report)
	}
}

func TestIfTheClocksDisagreeNothingGoesByAge(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.session(registry.Object, "stale", "dying", old)
	w.stream("dying", older)
	w.entry("came back", fresh)
	w.Client.ZAdd(w.t.Context(), "streamkeeper:retired", redis.Z{Score: 5, Member: "came back"})
	for _, skew := range []time.Duration{2 * time.Hour, -2 * time.Hour} {
		b := w.open(w.URL(), func(o *buffer.Options) { o.Now = func() time.Time { return time.Now().Add(skew) } })
		_, err := cleanup.New(b, w.options(nil)).Run(w.t.Context())
		if redisconn.ClassOf(err) != redisconn.ClassClock {
			t.Errorf("skew %s: the run ends with %v", skew, err)
		}
	}
	w.expect("sessions", w.sessions(), "stale")
	w.expect("listed", w.listed(), "came back", "dying")
}

func TestOutOfMemoryCleanupStillCleansUp(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	var live []string
	for _, layout := range registry.Layouts() {
		w.session(layout, "stale "+string(layout), "dying", old)
		w.session(layout, "live "+string(layout), "used", fresh)
		live = append(live, "live "+string(layout))
	}
	slices.Sort(live)
	w.stream("dying", older)
	w.stream("used", older)
	w.Client.SAdd(w.t.Context(), "streams", "ghost", "new ghost")
	w.sighted("ghost", old)
	w.Client.ConfigSet(w.t.Context(), "maxmemory", "1")
	report := w.run(nil)
	if report.SessionsExpired != int64(len(live)) || report.StreamsRetired != 1 || report.NamesDropped != 0 || report.Errors != 0 {
		t.Errorf("the report is %+v", report)
	}
	w.expect("sessions", w.sessions(), live...)
	w.expect("keys", w.keys(), "used")
	w.expect("listed", w.listed(), "dying", "ghost", "new ghost", "used")

	// With memory again, a later run reaches the end.
	w.Client.ConfigSet(w.t.Context(), "maxmemory", "0")
	w.run(nil)
	w.sighted("dying", old)
	w.run(nil)
	w.expect("listed", w.listed(), "new ghost", "used")
}

func TestAScanListsOnlyStreamsThatAreOurs(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.session(registry.Object, "s", "named by a session", fresh)
	w.session(registry.Object, "t", "named by a session, no key", fresh)
	w.entry("named by a session", fresh)
	w.entry("retired", fresh)
	w.Client.ZAdd(w.t.Context(), "streamkeeper:retired", redis.Z{Score: 5, Member: "retired"})
	w.entry("foreign", older)
	w.stream("listed", fresh)
	w.Client.Set(w.t.Context(), "stream:no stream", "x", 0)

	told := make(map[string]int)
	change := func(o *cleanup.Options) {
		o.Scan = true
		o.OnMalformed = func(kind string) { told[kind]++ }
	}
	plan, actions := w.plan(change)
	if plan.StreamsRestored != 2 || len(actions) != 2 {
		t.Errorf("the plan is %+v", actions)
	}
	clear(told)
	w.log.Reset()
	if report := w.run(change); report.StreamsRestored != 2 {
		t.Errorf("%+v", report)
	}
	w.expect("listed", w.listed(), "listed", "named by a session", "retired")
	w.expect("keys", w.keys(), "foreign", "listed", "named by a session", "no stream", "retired")
	if told[cleanup.KindUnlisted] != 1 || !strings.Contains(w.log.String(), "foreign") {
		t.Errorf("told %v:\n%s", told, w.log.String())
	}
	if without := w.run(nil); without.StreamsRestored != 0 {
		t.Errorf("%+v", without)
	}
}

// counting counts the walks.
type counting struct {
	*buffer.Buffer
	all, hash int
	now       time.Time
}

func (c *counting) Now(ctx context.Context) (time.Time, error) { return c.now, nil }

func (c *counting) WalkSessions(ctx context.Context, visit func([]registry.Session) error) error {
	c.all++
	return c.Buffer.WalkSessions(ctx, visit)
}

func (c *counting) WalkHashSessions(ctx context.Context, visit func([]registry.Session) error) error {
	c.hash++
	return c.Buffer.WalkHashSessions(ctx, visit)
}

func TestTheKeyspaceIsWalkedForSessionsOnlyWhenDue(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	store := &counting{Buffer: w.open(w.URL(), nil), now: w.now}
	cleaner := cleanup.New(store, w.options(nil))
	step := func(what string, later time.Duration, all, hash int) {
		t.Helper()
		store.now = store.now.Add(later)
		store.all, store.hash = 0, 0
		if _, err := cleaner.Run(w.t.Context()); err != nil {
			t.Fatal(err)
		}
		if store.all != all || store.hash != hash {
			t.Errorf("%s: %d walks of all, %d of the Hash alone; want %d and %d", what, store.all, store.hash, all, hash)
		}
	}
	step("at start", 0, 1, 0)
	step("5 minutes later", 5*time.Minute, 0, 1)
	w.session(registry.Object, "stale", "none", old)
	step("a session expires", 5*time.Minute, 0, 2)
	step("an hour later", time.Hour, 1, 0)
	w.session(registry.Keys, "live", "named in the keys layout only", -2*time.Hour)
	w.stream("named in the keys layout only", older)
	w.stream("orphan", older)
	step("a stream is to be retired", 5*time.Minute, 2, 1)
	w.expect("listed", w.listed(), "named in the keys layout only")
	step("one was found", 5*time.Minute, 1, 0)
	w.Client.Del(w.t.Context(), "sessions:live")
	w.Client.Del(w.t.Context(), "streams")
	step("it is gone", 5*time.Minute, 1, 0)
	step("none was found", 5*time.Minute, 0, 1)

	pinned := &counting{Buffer: w.open(w.URL(), func(o *buffer.Options) { o.Layouts = []registry.Layout{registry.Keys} }), now: w.now}
	cleaner = cleanup.New(pinned, w.options(nil))
	for range 2 {
		if _, err := cleaner.Run(w.t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if pinned.all != 2 || pinned.hash != 0 {
		t.Errorf("pinned: %d walks of all, %d of the Hash alone", pinned.all, pinned.hash)
	}
}

func TestStricterLimitsAreToldBeforeTheyAct(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.session(registry.Object, "s", "a", 10*time.Hour)
	w.run(nil)
	for _, want := range []int{1, 1} {
		w.run(func(o *cleanup.Options) { o.Limits.ExpireAfter = time.Hour })
		if got := strings.Count(w.log.String(), "limits are stricter than before"); got != want {
			t.Errorf("told %d times:\n%s", got, w.log.String())
		}
	}
}

func TestTheRecordEndsAtAThousandLines(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	for i := range 1200 {
		w.session(registry.Object, fmt.Sprint(i), "a", old)
	}
	seen := 0
	w.run(func(o *cleanup.Options) { o.OnAction = func(cleanup.Action) { seen++ } })
	if got := strings.Count(w.log.String(), `msg="expired session"`); got != 1000 || seen != 1200 || !strings.Contains(w.log.String(), "action=expire count=1200 not_listed=200") {
		t.Errorf("%d lines, %d actions", got, seen)
	}
}

func TestAFailureOfRedisEndsTheRun(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	b := w.open(w.URL(), nil)
	w.Kill()
	if _, err := cleanup.New(b, w.options(nil)).Run(w.t.Context()); !redisconn.IsLost(err) {
		t.Errorf("the run ends with %v", err)
	}
	if err := errors.Join(w.Run()); err != nil {
		t.Fatal(err)
	}
}
