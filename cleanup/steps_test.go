package cleanup_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// prepare makes the fixture of these tests: a stream whose only session is
// stale, one without a session, a name without a key, and two that stay.
func (w *fixture) prepare(layout registry.Layout) {
	w.Client.FlushAll(w.t.Context())
	w.session(layout, "stale", "dying", old)
	w.session(layout, "live", "used", fresh)
	w.Client.HSet(w.t.Context(), "sessions", "malformed", `{"streamName":"kept"}`)
	for _, name := range []string{"dying", "orphan", "used", "kept"} {
		w.stream(name, older)
	}
	w.Client.SAdd(w.t.Context(), "streams", "ghost")
	w.sighted("ghost", old)
}

// preparedCuts are the cuts of a run in the prepared fixture, which ends as it should.
func (w *fixture) preparedCuts(layout registry.Layout) []int {
	w.t.Helper()
	cuts := w.runCuts(nil, func() { w.prepare(layout) })
	w.expect("sessions", w.sessions(), "live", "malformed")
	w.expect("listed", w.listed(), "kept", "used")
	w.expect("keys", w.keys(), "kept", "used")
	return cuts
}

// arrival is what comes to a stream while a run is at work. Each has a stream of its
// own, so that all can come at the same step of one run.
type arrival struct {
	what, stream string
	// session is the one that comes with it; empty for none.
	session string
	entry   bool
	come    func()
}

// arrivals are all of them, to streams of each kind that a run removes. What has no
// session is the same in every layout.
func (w *fixture) arrivals(layout registry.Layout) (all []arrival) {
	kinds := []string{"dying"}
	if layout == registry.Object {
		kinds = append(kinds, "orphan", "ghost")
	}
	for _, kind := range kinds {
		for _, what := range []string{"XADD", "SADD, then XADD", "a session", "session and XADD", "a refresh"} {
			a := arrival{what: what, stream: kind + ", " + what}
			list := func() { w.Client.SAdd(w.t.Context(), "streams", a.stream) }
			entry := func() { w.entry(a.stream, fresh) }
			session := func() { w.session(layout, a.session, a.stream, fresh) }
			switch what {
			case "XADD":
				a.entry, a.come = true, entry
			case "SADD, then XADD":
				a.entry, a.come = true, func() { list(); entry() }
			case "a session":
				a.session, a.come = "new of "+a.stream, session
			case "session and XADD":
				a.session, a.entry, a.come = "new of "+a.stream, true, func() { session(); entry() }
			case "a refresh":
				a.session, a.come = "stale of "+a.stream, session
			}
			all = append(all, a)
		}
	}
	return all
}

// await makes what a run removes unless the arrivals come.
func (w *fixture) await(layout registry.Layout, all []arrival) {
	w.prepare(layout)
	for _, a := range all {
		kind, _, _ := strings.Cut(a.stream, ",")
		switch {
		case kind == "dying":
			w.session(layout, "stale of "+a.stream, a.stream, old)
		case a.what == "a refresh": // names another stream then
			w.session(layout, a.session, "dying", old)
		}
		if kind == "ghost" {
			w.Client.SAdd(w.t.Context(), "streams", a.stream)
			w.sighted(a.stream, old)
		} else {
			w.stream(a.stream, older)
		}
	}
}

func TestWhateverComesAtAnyStepOfARunSurvives(t *testing.T) {
	t.Parallel()
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			w := newFixture(t)
			all := w.arrivals(layout)
			steps := w.differentSteps(nil, func() { w.await(layout, all) })
			w.expect("left where nothing comes", w.listed(), "kept", "used")
			for _, step := range steps {
				w.await(layout, all)
				w.noError(w.stepped(nil, func(n int, _ string) error {
					if n == step {
						for _, a := range all {
							a.come()
						}
					}
					return nil
				}))
				w.run(nil)
				w.survived(fmt.Sprintf("before command %d", step), all)
			}
			t.Logf("at %d commands of %d", len(steps), steps[len(steps)-1])
		})
	}
}

// differentSteps are the numbers of the commands of a run that are not the same as the
// one before: those ask the same of another stream or session, and what comes between
// the two comes after the one and before the other.
func (w *fixture) differentSteps(change func(*cleanup.Options), prepare func()) []int {
	w.t.Helper()
	var steps []int
	last := ""
	for i, command := range w.runCommands(change, prepare) {
		if command != last {
			steps = append(steps, i+1)
		}
		last = command
	}
	return steps
}

// survived looks, after the next run, for what the arrivals brought.
func (w *fixture) survived(when string, all []arrival) {
	w.t.Helper()
	listed, again := w.listed(), false
	for _, a := range all {
		if !a.entry && !slices.Contains(listed, a.stream) {
			// The stream had gone by then. Its name is back with its first message.
			if w.Client.Exists(w.t.Context(), "stream:"+a.stream).Val() != 0 {
				w.t.Errorf("%s %s: %q has a key and is not listed", a.what, when, a.stream)
			}
			w.entry(a.stream, fresh)
			again = true
		}
	}
	if again {
		w.run(nil)
		listed = w.listed()
	}
	sessions := w.sessions()
	for _, a := range all {
		if !slices.Contains(listed, a.stream) {
			w.t.Errorf("%s %s: %q is not listed, but %q are", a.what, when, a.stream, listed)
		}
		if a.session != "" && !slices.Contains(sessions, a.session) {
			w.t.Errorf("%s %s: the session %q is gone", a.what, when, a.session)
		}
		if !a.entry {
			continue
		}
		if entries := w.Client.XRevRangeN(w.t.Context(), "stream:"+a.stream, "+", "-", 1).Val(); len(entries) == 0 || entries[0].Values["data"] != fresh.String() {
			w.t.Errorf("%s %s: the entry in %q is gone", a.what, when, a.stream)
		}
	}
}

// Also where a command is lost that only reads, nobody is told that all went well.
func TestARunThatIsCutOffAtAnyCommandNotices(t *testing.T) {
	t.Parallel()
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			w := newFixture(t)
			everyCut := func(change func(*cleanup.Options), prepare func()) {
				for i := range w.runCommands(change, prepare) {
					prepare()
					w.runCutAt(i+1, change)
				}
			}
			everyCut(nil, func() { w.prepare(layout) })
			everyCut(abandoning, func() { w.returning(layout, burst.Frame) })
		})
	}
}

func TestCutOffAtAnyStepALaterRunReachesTheEnd(t *testing.T) {
	t.Parallel()
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			w := newFixture(t)
			for _, cut := range w.preparedCuts(layout) {
				w.prepare(layout)
				w.runCutAt(cut, nil)
				w.finish(fmt.Sprintf("cut off before command %d", cut))
			}
		})
	}
}

// broken fails one walk in its middle.
type broken struct {
	*buffer.Buffer
	sessions, streams int
	err               error
}

func (b *broken) WalkSessions(ctx context.Context, visit func([]registry.Session) error) error {
	if b.sessions--; b.sessions == 0 {
		return errors.Join(b.Buffer.WalkSessions(ctx, visit), b.err)
	}
	return b.Buffer.WalkSessions(ctx, visit)
}

func (b *broken) WalkStreams(ctx context.Context, visit func([]string) error) error {
	if b.streams--; b.streams == 0 {
		return b.err
	}
	return b.Buffer.WalkStreams(ctx, visit)
}

// doubling names each session twice in its second walk, as HSCAN may while the
// Hash shrinks.
type doubling struct {
	*buffer.Buffer
	walks int
}

func (d *doubling) WalkSessions(ctx context.Context, visit func([]registry.Session) error) error {
	d.walks++
	return d.Buffer.WalkSessions(ctx, func(page []registry.Session) error {
		if d.walks == 2 {
			var twice []registry.Session
			for _, s := range page {
				twice = append(twice, s, s)
			}
			page = twice
		}
		return visit(page)
	})
}

func TestASessionThatIsNamedTwiceTakesNobodysPlace(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	for i := range 50 {
		w.session(registry.Object, fmt.Sprint(i), "a", old)
	}
	store := &doubling{Buffer: w.open(w.URL(), nil)}
	report, err := cleanup.New(store, w.options(nil)).Run(t.Context())
	if err != nil || report.SessionsExpired != 50 || store.walks != 2 {
		t.Errorf("%+v after %d walks, %v", report, store.walks, err)
	}
	w.expect("sessions", w.sessions())
}

// reviving writes expired sessions anew, as a producer's next update does.
type reviving struct {
	*buffer.Buffer
	revive func()
}

func (r *reviving) Expire(ctx context.Context, sessions []registry.Session, how registry.Expiring) ([]registry.Expiry, error) {
	ended, err := r.Buffer.Expire(ctx, sessions, how)
	if slices.ContainsFunc(ended, func(e registry.Expiry) bool { return e.Removed }) {
		r.revive()
	}
	return ended, err
}

func TestASessionThatReturnsRightAfterItsExpiryKeepsItsStream(t *testing.T) {
	t.Parallel()
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			w := newFixture(t)
			w.prepare(layout)
			store := &reviving{w.open(w.URL(), nil), func() { w.session(layout, "stale", "dying", 0) }}
			report, err := cleanup.New(store, w.options(nil)).Run(w.t.Context())
			if err != nil || report.SessionsExpired != 1 || report.StreamsRetired != 1 {
				t.Errorf("the report is %+v, %v", report, err)
			}
			w.expect("keys", w.keys(), "dying", "kept", "used")
		})
	}
}

func TestAWalkThatBreaksOffRetiresNothing(t *testing.T) {
	t.Parallel()
	failure := errors.New("broken off")
	for name, store := range map[string]broken{
		"the first scan of the sessions":  {sessions: 1},
		"the second scan of the sessions": {sessions: 2},
		"the first scan of the streams":   {streams: 1},
		"the second scan of the streams":  {streams: 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newFixture(t)
			w.prepare(registry.Object)
			w.entry("came back", fresh)
			w.Client.ZAdd(w.t.Context(), "streamkeeper:retired", redis.Z{Score: 5, Member: "came back"})
			store.Buffer, store.err = w.open(w.URL(), nil), failure
			if _, err := cleanup.New(&store, w.options(nil)).Run(w.t.Context()); !errors.Is(err, failure) {
				t.Errorf("the run ends with %v", err)
			}
			w.expect("listed", w.listed(), "came back", "dying", "ghost", "kept", "orphan", "used")
			w.expect("keys", w.keys(), "came back", "dying", "kept", "orphan", "used")
		})
	}
}

// These tell the test binary, started once more, what to do where, and in which layout
// if not in all.
const (
	childURL    = "STREAMKEEPER_TEST_CHILD_URL"
	childTask   = "STREAMKEEPER_TEST_CHILD_TASK"
	childLayout = "STREAMKEEPER_TEST_CHILD_LAYOUT"
)

// childTasks are what a process does that can be killed.
var childTasks = map[string]func(ctx context.Context, b *buffer.Buffer) error{
	"clean up":              func(ctx context.Context, b *buffer.Buffer) error { return cleanUp(ctx, b, nil) },
	"clean up, abandon":     func(ctx context.Context, b *buffer.Buffer) error { return cleanUp(ctx, b, abandoning) },
	"clean up, keep copies": func(ctx context.Context, b *buffer.Buffer) error { return cleanUp(ctx, b, withUndo) },
	"put back":              func(ctx context.Context, b *buffer.Buffer) error { _, err := putBack(ctx, b); return err },
}

func cleanUp(ctx context.Context, b *buffer.Buffer, change func(*cleanup.Options)) error {
	o := cleanup.Options{Limits: cleanup.Limits{ExpireAfter: cleanup.DefaultExpireAfter, RetireAfter: cleanup.DefaultRetireAfter}, Guard: noGuard}
	if change != nil {
		change(&o)
	}
	_, err := cleanup.New(b, o).Run(ctx)
	return err
}

func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		var layouts []registry.Layout
		if layout := os.Getenv(childLayout); layout != "" {
			layouts = []registry.Layout{registry.Layout(layout)}
		}
		if err := child(context.Background(), url, layouts, os.Getenv(childTask)); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child does its task once.
func child(ctx context.Context, url string, layouts []registry.Layout, task string) error {
	b, err := buffer.Open(ctx, buffer.Options{Connection: redisconn.Connection{URL: url}, Layouts: layouts})
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()
	return childTasks[task](ctx, b)
}

func TestAProcessThatIsKilledAtAnyStepDoesNoHarm(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	for _, cut := range w.preparedCuts(registry.Object) {
		w.prepare(registry.Object)
		w.killedAt(cut, "clean up")
		w.finish(fmt.Sprintf("killed before command %d", cut))
	}
}

// killedAt has a process do a task that is killed before the command of that
// number, counted from 1.
func (w *fixture) killedAt(cut int, task string) {
	w.t.Helper()
	started := make(chan *os.Process, 1)
	p := w.through(func(n int, _ string) error {
		if n < cut {
			return nil
		}
		_ = (<-started).Kill()
		return errDead
	})
	process := exec.CommandContext(w.t.Context(), os.Args[0])
	process.Env = append(os.Environ(), childURL+"="+p.url(), childTask+"="+task)
	for _, layout := range w.layouts {
		process.Env = append(process.Env, childLayout+"="+string(layout))
	}
	if err := process.Start(); err != nil {
		w.t.Fatal(err)
	}
	started <- process.Process
	if err := process.Wait(); err == nil {
		w.t.Fatalf("command %d: the process ended by itself", cut)
	}
}

// finish has later runs reach the end.
func (w *fixture) finish(what string) {
	w.t.Helper()
	w.run(nil)
	// What lost its key but not its name ripens.
	for _, name := range w.Client.ZRange(w.t.Context(), "streamkeeper:sighted", 0, -1).Val() {
		w.sighted(name, old)
	}
	w.run(nil)
	w.expect(what+", sessions", w.sessions(), "live", "malformed")
	w.expect(what+", listed", w.listed(), "kept", "used")
	w.expect(what+", keys", w.keys(), "kept", "used")
	remembered := w.Client.ZRange(w.t.Context(), "streamkeeper:retired", 0, -1).Val()
	slices.Sort(remembered)
	w.expect(what+", remembered", remembered, "dying", "ghost", "orphan")
}
