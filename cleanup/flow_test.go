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
