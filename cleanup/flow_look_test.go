package cleanup_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/cleanup"
)

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
