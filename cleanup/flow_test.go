package cleanup_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/cleanup"
)

// sent adds a message of a stream session id, of that age.
func (w *fixture) sent(stream string, id any, age time.Duration) {
	w.t.Helper()
	w.noError(w.Client.XAdd(w.t.Context(), &redis.XAddArgs{
		Stream: "stream:" + stream, ID: fmt.Sprintf("%d-*", w.now.Add(-age).UnixMilli()), Values: []any{"id", id, "data", "x"},
	}).Err())
	w.Client.SAdd(w.t.Context(), "streams", stream)
}

// agree checks that what the plan says is what a run then does.
func (w *fixture) agree(change func(*cleanup.Options)) cleanup.Report {
	w.t.Helper()
	_, planned := w.plan(change)
	var done []cleanup.Action
	report := w.run(func(o *cleanup.Options) {
		if change != nil {
			change(o)
		}
		o.OnAction = func(a cleanup.Action) { done = append(done, a) }
	})
	text := func(actions []cleanup.Action) []string {
		var all []string
		for _, a := range actions {
			all = append(all, fmt.Sprintf("%s %q %q", a.Kind, a.Session, a.Stream))
		}
		slices.Sort(all)
		return all
	}
	if p, d := text(planned), text(done); !slices.Equal(p, d) {
		w.t.Errorf("%d actions planned, %d done\nplanned %.500q\ndone    %.500q", len(p), len(d), p, d)
	}
	return report
}

func TestASessionWhoseMessagesArriveIsKeptWhateverItsEntrySays(t *testing.T) {
	t.Parallel()
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			w := newFixture(t)
			w.described(layout, "race", "car", 7, old, stated(`"open"`))
			w.described(layout, "at the limit", "car", 8, old, stated(`"closed"`))
			w.described(layout, "past the limit", "car", 9, old, stated(`"closed"`))
			w.described(layout, "silent", "car", 10, old, stated(`"closed"`))
			w.described(layout, "on a silent stream", "garage", 7, old, stated(`"closed"`))
			w.sent("garage", 7, 25*time.Hour)
			w.sent("car", 9, 24*time.Hour+time.Minute)
			w.sent("car", 8, 24*time.Hour-time.Minute)
			w.sent("car", 7, time.Second)
			report := w.agree(nil)
			if report.SessionsFlowing != 2 || report.SessionsExpired != 3 || report.Sessions != 5 || report.SessionsLive != 0 {
				t.Errorf("%+v", report)
			}
			w.expect("sessions", w.sessions(), "at the limit", "race")
			if !strings.Contains(w.log.String(), "sessions not updated while messages arrive") || !strings.Contains(w.log.String(), "race on car") {
				t.Errorf("the producers are not named:\n%s", w.log.String())
			}
			// With the setting off the time alone decides.
			if report := w.agree(func(o *cleanup.Options) { o.TimeAlone = true }); report.SessionsExpired != 2 || report.SessionsFlowing != 0 {
				t.Errorf("by time alone: %+v", report)
			}
		})
	}
}

// An id is a number, however it is written.
func TestMessagesAreTheSessionsWhoseNumberTheyHave(t *testing.T) {
	w := newFixture(t)
	ms := w.now.Add(-old).UnixMilli()
	for i, written := range []string{`7`, `7.0`, `"07"`, `" 7"`, `"7\n"`, `70e-1`} {
		stream := fmt.Sprint("s", i)
		w.Client.HSet(t.Context(), "sessions", stream, fmt.Sprintf(`{"streamSessionId":%s,"streamName":%q,"lastUpdated":%d}`, written, stream, ms))
		w.sent(stream, 7, time.Minute)
	}
	for i, written := range []string{`7`, `8`, `7.5`, `"7x"`, `"0x8"`, `-8`} {
		stream := fmt.Sprint("t", i)
		w.Client.HSet(t.Context(), "sessions", stream, fmt.Sprintf(`{"streamSessionId":%s,"streamName":%q,"lastUpdated":%d}`, written, stream, ms))
		w.sent(stream, "8.0", time.Minute)
	}
	w.agree(nil)
	w.expect("sessions", w.sessions(), "s0", "s1", "s2", "s3", "s4", "s5", "t1")
}

// A time that cannot be true is not the newest one.
func TestASessionWithAnImpossibleTimeTakesNoMessagesFromAnother(t *testing.T) {
	for what, ahead := range map[string]time.Duration{"two days ahead": 48 * time.Hour, "far ahead, as in another unit": 200 * 365 * 24 * time.Hour} {
		for _, layout := range registry.Layouts() {
			t.Run(fmt.Sprint(what, ", ", layout), func(t *testing.T) {
				w := newFixture(t)
				w.described(layout, "bad", "car", 7, -ahead, stated(`"open"`))
				w.described(registry.Object, "good", "car", 7, 25*time.Hour, stated(`"open"`))
				w.sent("car", 7, time.Second)
				if report := w.agree(nil); report.SessionsFlowing != 1 || report.SessionsExpired != 0 || report.SessionsMalformed != 1 {
					t.Errorf("%+v", report)
				}
			})
		}
	}
}

// One look a stream decides for all its sessions, however many share it.
func TestThirtySessionsOnOneStreamAllFlow(t *testing.T) {
	t.Parallel()
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			w := newFixture(t)
			for i := range 30 {
				age := quiet
				if i%2 == 0 {
					age = old
				}
				w.described(layout, fmt.Sprint("s", i), "shared", 100+i, age, stated(`"open"`))
			}
			for round := range 10 {
				for i := range 30 {
					w.sent("shared", 100+i, 10*time.Second-time.Duration(round)*time.Second)
				}
			}
			report := w.agree(abandoning)
			if report.SessionsFlowing != 30 || report.SessionsExpired+report.SessionsAbandoned+report.SessionsLive != 0 {
				t.Errorf("%+v", report)
			}
		})
	}
}

func TestAQuietSessionIsJudgedByItsOwnLimit(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	// Its last message is within the limit of expiry, and past that of
	// abandonment.
	w.described(registry.Keys, "a", "s", 7, old, stated(`"open"`))
	w.message("s", 7, 5*time.Hour, burst.Frame)
	report := w.agree(abandoning)
	if report.SessionsAbandoned != 1 || report.SessionsExpired != 0 || report.SessionsFlowing != 1 {
		t.Errorf("%+v", report)
	}
	// What we appended is no message of the producer's: its own still count.
	if report := w.agree(abandoning); report.SessionsFlowing != 1 || report.SessionsExpired+report.SessionsAbandoned != 0 {
		t.Errorf("the next run: %+v", report)
	}
	store := &counting{Buffer: w.open(w.URL(), nil), now: w.now.Add(20 * time.Hour)}
	if report, err := cleanup.New(store, w.options(abandoning)).Run(t.Context()); err != nil || report.SessionsExpired != 1 {
		t.Errorf("a day after its last message: %+v, %v", report, err)
	}
}

// Where several sessions name one stream with one id, its messages count for the
// one with the newest time, wherever the scan comes upon it.
func TestMessagesCountForTheSessionWithTheNewestTime(t *testing.T) {
	t.Parallel()
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			w := newFixture(t)
			// So many that there are several pages.
			for i := range 600 {
				w.session(layout, fmt.Sprint("other ", i), "elsewhere", fresh)
			}
			for i := range 40 {
				w.described(layout, fmt.Sprint("older ", i), "s", 1000+i, old+time.Minute, stated(`"closed"`))
				w.described(layout, fmt.Sprint("newer ", i), "s", 1000+i, old, stated(`"closed"`))
				w.described(layout, fmt.Sprint("dead ", i), "s", 2000+i, old, stated(`"closed"`))
				w.described(layout, fmt.Sprint("live ", i), "s", 2000+i, fresh, stated(`"closed"`))
				w.sent("s", 1000+i, time.Minute)
				w.sent("s", 2000+i, time.Minute)
			}
			report := w.agree(nil)
			if report.SessionsExpired != 80 || report.SessionsFlowing != 40 || report.SessionsStale != 80 {
				t.Errorf("%+v", report)
			}
			for line := range strings.Lines(w.log.String()) {
				if strings.Contains(line, "not updated while messages arrive") && (!strings.Contains(line, "count=40 ") || strings.Contains(line, "older ") || strings.Contains(line, "dead ")) {
					t.Errorf("the log names others: %s", line)
				}
			}
			for _, s := range w.sessions() {
				if strings.HasPrefix(s, "older") || strings.HasPrefix(s, "dead") {
					t.Errorf("%s is left", s)
				}
			}
		})
	}
}

// A message past the newest ones is found where the messages of the rest of the
// limit are looked at in places.
func TestTheLookSpreadsOverTheLimit(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.described(registry.Object, "now and then", "s", 7, old, stated(`"closed"`))
	w.described(registry.Object, "never", "s", 8, old, stated(`"closed"`))
	pipe := w.Client.Pipeline()
	add := func(id any, age time.Duration) {
		pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:s", ID: fmt.Sprintf("%d-*", w.now.Add(-age).UnixMilli()), Values: []any{"id", id, "data", "x"}})
	}
	for i := range 24 * 60 {
		add(7, 24*time.Hour-time.Duration(i)*time.Minute)
		if i > 12*60 {
			break
		}
	}
	for i := range 1500 {
		add(9, 10*time.Minute-time.Duration(i)*100*time.Millisecond)
	}
	_, err := pipe.Exec(t.Context())
	w.noError(err)
	report := w.agree(nil)
	w.expect("sessions", w.sessions(), "now and then")
	if report.SessionsFlowing != 1 || report.SessionsExpired != 1 {
		t.Errorf("%+v", report)
	}
}

// A stream may hold minutes while the limit is a day: all places are where it has
// messages.
func TestTheLookSpreadsOverWhatTheStreamHolds(t *testing.T) {
	const cars, each = 5, 1000
	w := newFixture(t)
	pipe := w.Client.Pipeline()
	send := func(car int, age time.Duration) {
		pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:race", ID: fmt.Sprintf("%d-*", w.now.Add(-age).UnixMilli()), Values: []any{"id", 100 + car, "data", "x"}})
	}
	for car := range cars {
		w.described(registry.Object, fmt.Sprint("car ", car), "race", 100+car, old, stated(`"open"`))
	}
	// Ten times a second all of them, and then the first one alone.
	for i := range each {
		for car := range cars {
			send(car, 210*time.Second-time.Duration(i)*100*time.Millisecond-time.Duration(car)*13*time.Millisecond)
		}
	}
	for i := range each + 100 {
		send(0, 105*time.Second-time.Duration(i)*90*time.Millisecond)
	}
	_, err := pipe.Exec(t.Context())
	w.noError(err)
	if report := w.agree(nil); report.SessionsFlowing != cars || report.SessionsExpired != 0 {
		t.Errorf("%+v", report)
	}
	if report, _ := w.plan(abandoning); report.SessionsFlowing != cars {
		t.Errorf("%+v", report)
	}
}

// arriving counts what the looks read, and lets something happen between them
// and the expiry.
type arriving struct {
	*buffer.Buffer
	bytes, calls int64
	before       func()
	fails        error
}

func (a *arriving) Arrivals(ctx context.Context, asks []buffer.Arrivals) ([]buffer.Arrived, error) {
	a.calls++
	arrived, err := a.Buffer.Arrivals(ctx, asks)
	for i := range arrived {
		a.bytes += arrived[i].Bytes
		if a.fails != nil {
			arrived[i] = buffer.Arrived{Err: a.fails}
		}
	}
	return arrived, err
}

func (a *arriving) SetLeft(ctx context.Context, f buffer.StateFields) error {
	if a.before != nil {
		a.before()
		a.before = nil
	}
	return a.Buffer.SetLeft(ctx, f)
}

func TestAMessageThatComesBeforeTheSecondScanKeepsItsSession(t *testing.T) {
	t.Parallel()
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			w := newFixture(t)
			w.described(layout, "wakes", "s", 7, old, stated(`"open"`))
			w.described(layout, "wakes on a silent stream", "t", 7, old, stated(`"open"`))
			w.described(layout, "stays silent", "s", 8, old, stated(`"open"`))
			w.sent("s", 9, time.Minute)
			w.sent("t", 9, older)
			store := &arriving{Buffer: w.open(w.URL(), nil), before: func() { w.sent("s", 7, 0); w.sent("t", 7, 0) }}
			report, err := cleanup.New(store, w.options(nil)).Run(t.Context())
			if err != nil || report.SessionsExpired != 1 || report.SessionsFlowing != 2 || report.SessionsStale != 1 {
				t.Errorf("%+v, %v", report, err)
			}
			w.expect("sessions", w.sessions(), "wakes", "wakes on a silent stream")
		})
	}
}

func TestWhatCannotBeLookedAtStays(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.described(registry.Object, "a", "s", 7, old, stated(`"closed"`))
	w.described(registry.Object, "b", "s", 8, old, stated(`"closed"`))
	w.sent("s", 9, older)
	store := &arriving{Buffer: w.open(w.URL(), nil), fails: redis.ErrClosed}
	store.fails = fmt.Errorf("NOPERM")
	report, err := cleanup.New(store, w.options(nil)).Run(t.Context())
	if err != nil || report.SessionsPostponed != 2 || report.SessionsExpired+report.StreamsRetired != 0 || report.Errors != 1 || len(report.Failed) != 1 {
		t.Errorf("%+v, %v", report, err)
	}
	if strings.Count(w.log.String(), "messages not looked at") != 1 {
		t.Errorf("%s", w.log.String())
	}
}

// The look ends as soon as it knows: a stream that flows costs little, however
// large its messages are.
func TestTheLookIsOneAStreamAndNoLongerThanNeeded(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	payload := strings.Repeat("x", 32<<10)
	for i := range 200 {
		w.described(registry.Object, fmt.Sprint("s", i), "s", 100+i%20, old-time.Duration(i)*time.Second, stated(`"closed"`))
	}
	for i := range 400 {
		w.noError(w.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:s", Values: []any{"id", 100 + i%20, "data", payload}}).Err())
	}
	store := &arriving{Buffer: w.open(w.URL(), nil)}
	report, err := cleanup.New(store, w.options(func(o *cleanup.Options) { o.Guard = cleanup.Guard{Share: 1} })).Run(t.Context())
	if err != nil || report.SessionsFlowing != 20 || report.SessionsExpired != 180 {
		t.Errorf("%+v, %v", report, err)
	}
	if store.calls > 10 || store.bytes > 2<<20 {
		t.Errorf("%d calls, %d bytes", store.calls, store.bytes)
	}
}

func TestIDsThatAreNoTimesCountAsFresh(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.described(registry.Object, "counted", "s", 7, old, stated(`"closed"`))
	w.described(registry.Object, "not there", "s", 8, old, stated(`"closed"`))
	for i := range 5 {
		w.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:s", ID: fmt.Sprint(i+1, "-1"), Values: []any{"id", 7, "data", "x"}})
	}
	w.agree(nil)
	w.expect("sessions", w.sessions(), "counted")
}

// Trimming may take the messages that show that a session flows. Where it left
// none at all, nobody knows: the sessions stay, as long as the stream's last id
// is within the limit.
func TestSessionsOfAnEmptiedStreamStayWhileItsLastIDIsWithinTheLimit(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.described(registry.Object, "emptied", "s", 7, old, stated(`"open"`))
	w.described(registry.Object, "emptied long ago", "t", 7, old, stated(`"open"`))
	w.described(registry.Object, "no times", "u", 7, old, stated(`"open"`))
	w.described(registry.Object, "never an entry", "v", 7, old, stated(`"open"`))
	w.sent("s", 7, 2*time.Hour)
	w.sent("t", 7, 25*time.Hour)
	w.noError(w.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:u", ID: "5-1", Values: []any{"id", 7, "data", "x"}}).Err())
	w.noError(w.Client.XGroupCreateMkStream(t.Context(), "stream:v", "g", "0").Err())
	for _, stream := range []string{"s", "t", "u"} {
		w.noError(w.Client.XTrimMaxLen(t.Context(), "stream:"+stream, 0).Err())
	}
	report := w.agree(nil)
	if report.SessionsPostponed != 1 || report.SessionsStale != 3 || report.SessionsExpired != 3 || report.Errors != 0 {
		t.Errorf("%+v", report)
	}
	w.expect("sessions", w.sessions(), "emptied")
	w.expect("streams", w.keys(), "s", "u", "v")
	// It ends as the last id ages.
	store := &counting{Buffer: w.open(w.URL(), nil), now: w.now.Add(23 * time.Hour)}
	if report, err := cleanup.New(store, w.options(nil)).Run(t.Context()); err != nil || report.SessionsExpired != 1 {
		t.Errorf("a day after its last message: %+v, %v", report, err)
	}
}

// A message of another session that comes after the stream was emptied says
// nothing about those that were there before.
func TestWhatWasEmptiedBetweenTheScansIsNotKnown(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.described(registry.Object, "emptied", "s", 7, old, stated(`"open"`))
	w.described(registry.Object, "stale", "t", 7, old, stated(`"open"`))
	w.sent("s", 9, older)
	w.sent("t", 9, older)
	store := &arriving{Buffer: w.open(w.URL(), nil), before: func() {
		w.sent("s", 7, time.Minute)
		w.noError(w.Client.XTrimMaxLen(t.Context(), "stream:s", 0).Err())
	}}
	report, err := cleanup.New(store, w.options(nil)).Run(t.Context())
	if err != nil || report.SessionsExpired != 1 {
		t.Errorf("%+v, %v", report, err)
	}
	w.expect("sessions", w.sessions(), "emptied")
}

// What a run may neither read nor keep is not known: the sessions stay for a
// later run, and so do their streams.
func TestSessionsBeyondTheBoundsOfARunStayForALaterOne(t *testing.T) {
	const streams = 20
	for what, c := range map[string]struct{ read, kept int64 }{
		"read":      {100 << 10, 1 << 20},
		"kept":      {1 << 30, 1000},
		"no memory": {1 << 30, 0},
		"no byte":   {0, 1 << 20},
	} {
		t.Run(what, func(t *testing.T) {
			w := newFixture(t)
			payload := strings.Repeat("x", 16<<10)
			for i := range streams {
				name := fmt.Sprint("s", i)
				w.described(registry.Object, "flowing "+name, name, 7, old, stated(`"closed"`))
				w.described(registry.Object, "stale "+name, name, 8, old, stated(`"closed"`))
				for range 4 {
					w.noError(w.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:" + name, Values: []any{"id", 7, "data", payload}}).Err())
				}
			}
			cleaner := cleanup.New(w.open(w.URL(), nil), w.options(nil))
			cleaner.BoundLooks(c.read, c.kept)
			report, err := cleaner.Run(t.Context())
			if err != nil || report.SessionsPostponed == 0 || report.StreamsRetired+report.Errors != 0 {
				t.Errorf("%+v, %v", report, err)
			}
			if n := report.SessionsFlowing + report.SessionsExpired + report.SessionsPostponed; n != 2*streams || report.SessionsExpired > streams {
				t.Errorf("%d sessions are accounted for: %+v", n, report)
			}
			left := w.sessions()
			if n := int64(len(left)); n != 2*streams-report.SessionsExpired {
				t.Errorf("%d are left", n)
			}
			for i := range streams {
				if name := fmt.Sprint("flowing s", i); !slices.Contains(left, name) {
					t.Errorf("%s is gone", name)
				}
			}
			// With the bounds of everyday all is known, once those have had their turn
			// that this run left.
			report = w.run(nil)
			for range 4 {
				if report.SessionsPostponed > 0 {
					report = w.run(nil)
				}
			}
			if report.SessionsFlowing != streams || report.SessionsPostponed != 0 || len(w.sessions()) != streams {
				t.Errorf("a later run: %+v", report)
			}
		})
	}
}

// Where one run cannot read the messages of all streams, later ones read those of
// the others, in one process or in many.
func TestEveryStreamHasItsTurn(t *testing.T) {
	const streams, runs = 20, 40
	for _, oneShot := range []bool{false, true} {
		t.Run(fmt.Sprintf("one-shot %t", oneShot), func(t *testing.T) {
			t.Parallel()
			w := newFixture(t)
			payload := strings.Repeat("x", 16<<10)
			for i := range streams {
				name := fmt.Sprint("s", i)
				w.described(registry.Object, "flowing "+name, name, 7, old, stated(`"closed"`))
				w.described(registry.Object, "stale "+name, name, 8, old, stated(`"closed"`))
				for range 4 {
					w.noError(w.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:" + name, Values: []any{"id", 7, "data", payload}}).Err())
				}
			}
			b := w.open(w.URL(), nil)
			var cleaner *cleanup.Cleaner
			expired := int64(0)
			for run := 0; run < runs && expired < streams; run++ {
				if cleaner == nil || oneShot {
					cleaner = cleanup.New(b, w.options(nil))
					cleaner.BoundLooks(800<<10, 1<<20)
				}
				planned, err := cleaner.Plan(t.Context(), func(cleanup.Action) {})
				w.noError(err)
				report, err := cleaner.Run(t.Context())
				if err != nil || report.SessionsExpired != planned.SessionsExpired {
					t.Fatalf("run %d: %+v, %v; planned %+v", run, report, err, planned)
				}
				if n := report.SessionsFlowing + report.SessionsExpired + report.SessionsPostponed; n != 2*streams-expired {
					t.Errorf("run %d accounts for %d of %d sessions: %+v", run, n, 2*streams-expired, report)
				}
				expired += report.SessionsExpired
			}
			if n := len(w.sessions()); expired != streams || n != streams {
				t.Errorf("%d of %d stale sessions expired, %d sessions are left", expired, streams, n)
			}
		})
	}
}

// Where only a part of the sessions could be judged, the guard goes by that part,
// and what it holds back keeps its turn until it may go.
func TestTheGuardJudgesTheSessionsWhoseTurnItIs(t *testing.T) {
	t.Parallel()
	// So many that what one batch of looks reads too much is less than what is left to the
	// second scan.
	const streams = 200
	w := newFixture(t)
	payload := strings.Repeat("x", 1<<10)
	for i := range streams {
		stream := fmt.Sprint("s", i)
		for k := range 2 {
			w.described(registry.Object, fmt.Sprint(stream, "-", k), stream, 8, old, stated(`"open"`))
		}
		for range 4 {
			w.noError(w.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:" + stream, Values: []any{"id", 7, "data", payload}}).Err())
		}
	}
	b := w.open(w.URL(), nil)
	cleaner := cleanup.New(b, w.options(withGuard))
	cleaner.BoundLooks(500<<10, 1<<20)
	for run := range 4 {
		report, err := cleaner.Run(t.Context())
		if err != nil || report.Guard == "" || report.SessionsPostponed == 0 || report.SessionsExpired != 0 {
			t.Fatalf("run %d: %+v, %v", run, report, err)
		}
	}
	since := w.Client.HGet(t.Context(), "streamkeeper:brake", "since_ms").Val()
	if since == "" {
		t.Fatal("the decision is not noted")
	}
	w.heldFor(2 * time.Hour)
	report, err := cleaner.Run(t.Context())
	if err != nil || report.Guard != "" || report.SessionsExpired == 0 {
		t.Errorf("what stood for two hours does not go: %+v, %v", report, err)
	}
}

// Streams that were silent in the first scan flow by the second, which cannot ask
// all of them again.
func TestWhatTheSecondScanCannotAskStays(t *testing.T) {
	const streams = 30
	w := newFixture(t)
	for i := range streams {
		name := fmt.Sprint("s", i)
		w.described(registry.Object, name, name, 7, old, stated(`"open"`))
		w.sent(name, 7, older)
	}
	store := &arriving{Buffer: w.open(w.URL(), nil), before: func() {
		for i := range streams {
			w.noError(w.Client.XAdd(t.Context(), &redis.XAddArgs{
				Stream: fmt.Sprint("stream:s", i), Values: []any{"id", 7, "data", strings.Repeat("x", 1000)},
			}).Err())
		}
	}}
	cleaner := cleanup.New(store, w.options(nil))
	cleaner.BoundLooks(1000, 1<<20)
	report, err := cleaner.Run(t.Context())
	if err != nil || report.SessionsExpired != 0 || report.SessionsFlowing == 0 || report.SessionsFlowing == streams {
		t.Errorf("%+v, %v", report, err)
	}
	if n := len(w.sessions()); n != streams {
		t.Errorf("%d of %d sessions are left", n, streams)
	}
}
