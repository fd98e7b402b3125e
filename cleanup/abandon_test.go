package cleanup_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/inspect"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// quiet is the age of a session that is to be marked; limits are an hour and a
// day.
const quiet = 2 * time.Hour

func abandoning(o *cleanup.Options) { o.Limits.AbandonAfter = time.Hour }

// stated is a Session JSON with what only its producer knows.
func stated(state string) string {
	return fmt.Sprintf(`{"identity":"a","state":%s,"n":1.50,"name":"\u00e9\/","timeRange":{"startTime":1763874856000000000,"endTime":1763874857000000000}}`, state)
}

// described writes a session with a Session JSON.
func (w *fixture) described(layout registry.Layout, identity, stream string, id int, age time.Duration, sessionJSON string) {
	ms := w.now.Add(-age).UnixMilli()
	fields := []any{"streamSessionId", id, "streamName", stream, "streamPosition", "5-1", "lastUpdated", ms, "json", sessionJSON, "tStart", "1", "tEnd", "2"}
	switch layout {
	case registry.Object:
		text, _ := json.Marshal(sessionJSON)
		w.noError(w.Client.HSet(w.t.Context(), "sessions", identity, fmt.Sprintf(
			`{"streamSessionId":%d,"streamName":%q,"own":{"b":1.0,"a":2},"lastUpdated":%d,"json":%s,"tStart":"1","tEnd":"2"}`, id, stream, ms, text)).Err())
	default:
		if layout.HasOwnKey() {
			fields = append(fields, "own", "x")
		}
		w.noError(registry.Produce(w.t.Context(), w.Client, layout, "sessions", identity, fields...))
		if layout.HasOwnKey() {
			w.noError(w.Client.PExpire(w.t.Context(), layout.KeyOf("sessions", identity), time.Hour).Err())
		}
	}
}

// sessionJSON is what the registry holds.
func (w *fixture) sessionJSON(layout registry.Layout, identity string) string {
	w.t.Helper()
	switch layout {
	case registry.Object:
		var entry struct{ JSON string }
		w.noError(json.Unmarshal([]byte(w.Client.HGet(w.t.Context(), "sessions", identity).Val()), &entry))
		return entry.JSON
	case registry.Fields:
		return w.Client.HGet(w.t.Context(), "sessions", identity+":json").Val()
	default:
		return w.Client.HGet(w.t.Context(), layout.KeyOf("sessions", identity), "json").Val()
	}
}

// message adds a message of a session as a producer with that encoding does; an
// age of 0 is now.
func (w *fixture) message(stream string, id int, age time.Duration, enc burst.Encoding) {
	w.t.Helper()
	data, err := burst.PackSessionJSON(enc, []byte(stated(`"open"`)))
	w.noError(err)
	w.Client.SAdd(w.t.Context(), "streams", stream)
	at := "*"
	if age > 0 {
		at = fmt.Sprintf("%d-*", w.now.Add(-age).UnixMilli())
	}
	w.noError(w.Client.XAdd(w.t.Context(), &redis.XAddArgs{Stream: "stream:" + stream, ID: at, Values: []any{"id", id, "data", data}}).Err())
}

// noError may be called by a proxy too, so it does not end the test.
func (w *fixture) noError(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Error(err)
	}
}

// told are the Session JSONs that a session's readers got from its stream.
func (w *fixture) told(stream string, id int) []string {
	w.t.Helper()
	var told []string
	for _, m := range w.Client.XRange(w.t.Context(), "stream:"+stream, "-", "+").Val() {
		data, _ := m.Values["data"].(string)
		var checker burst.Checker
		_, content := checker.Decode([]byte(data), burst.Auto)
		if m.Values["id"] != fmt.Sprint(id) || content == nil {
			continue
		}
		for _, d := range content.Data {
			told = append(told, string(d.SessionJSON))
		}
	}
	return told
}

func TestAQuietSessionIsMarkedAsAbandoned(t *testing.T) {
	t.Parallel()
	for _, layout := range registry.Layouts() {
		for i, enc := range burst.Encodings() {
			t.Run(string(layout)+", "+enc.String(), func(t *testing.T) {
				state, want := `"open"`, `"abandoned"`
				if i%2 == 1 {
					state, want = "1", "44"
				}
				w := newFixture(t)
				w.described(layout, "a", "s", 7, quiet, stated(state))
				w.message("s", 7, quiet, enc)
				before := w.registry()
				plan, actions := w.plan(abandoning)
				if plan.SessionsAbandoned != 1 || len(actions) != 1 || actions[0].Kind != cleanup.Abandon || actions[0].Session != "a" || actions[0].Stream != "s" {
					t.Errorf("the plan is %+v, %+v", plan, actions)
				}
				if got := w.registry(); got != before || w.Client.XLen(t.Context(), "stream:s").Val() != 1 {
					t.Error("the plan has changed something")
				}
				report := w.run(abandoning)
				if report.SessionsAbandoned != 1 || report.SessionsLive != 1 || report.SessionsExpired != 0 || report.Errors != 0 {
					t.Errorf("the report is %+v", report)
				}
				from, to := `"state":`+state, `"state":`+want
				if layout == registry.Object {
					from, to = strings.ReplaceAll(from, `"`, `\"`), strings.ReplaceAll(to, `"`, `\"`)
				}
				if got, want := w.registry(), strings.Replace(before, from, to, 1); got != want || got == before {
					t.Errorf("the registry has\n%s\nwant\n%s", got, want)
				}
				if got := w.sessionJSON(layout, "a"); got != stated(want) {
					t.Errorf("the Session JSON is %s", got)
				}
				if told := w.told("s", 7); !slices.Equal(told, []string{stated(`"open"`), stated(want)}) {
					t.Errorf("the readers were told %q", told)
				}
				if layout.HasOwnKey() && w.Client.PTTL(t.Context(), layout.KeyOf("sessions", "a")).Val() <= 0 {
					t.Error("the TTL is gone")
				}
				w.inspected("s", 2, enc)
				if n := strings.Count(w.log.String(), `msg="marked session as abandoned" action=abandon session=a stream=s`); n != 1 {
					t.Errorf("the record is\n%s", w.log.String())
				}
				if again := w.run(abandoning); again.SessionsAbandoned != 0 || w.Client.XLen(t.Context(), "stream:s").Val() != 2 {
					t.Errorf("the next run did %+v", again)
				}
			})
		}
	}
}

// registry is all that the registry holds, in no layout's order.
func (w *fixture) registry() string {
	var lines []string
	for _, key := range w.Client.Keys(w.t.Context(), "sessions*").Val() {
		for field, value := range w.Client.HGetAll(w.t.Context(), key).Val() {
			lines = append(lines, key+" "+field+" "+value)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// inspected has the inspector read every message of a stream.
func (w *fixture) inspected(stream string, messages int, enc burst.Encoding) {
	w.t.Helper()
	read := 0
	inspector := inspect.New(w.open(w.URL(), nil), inspect.Options{Samples: 10, MaxBytes: 1 << 20})
	_, err := inspector.Run(w.t.Context(), func(m inspect.Message) {
		if m.Stream != stream {
			return
		}
		if read++; m.Verdict != burst.OK || m.Encoding != enc || m.SessionID != "7" {
			w.t.Errorf("the inspector says of %s: %s %q, in %s", m.ID, m.Verdict, m.Reasons, m.Encoding)
		}
	})
	if err != nil || read != messages {
		w.t.Errorf("%d messages were read, %v", read, err)
	}
}

func TestAMarkedEntryWhoseFieldsExpireByThemselvesStillDoes(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		t.Parallel()
		w := &fixture{Server: start(t), t: t, now: time.Now()}
		for _, layout := range registry.Layouts() {
			w.noError(w.Client.FlushAll(t.Context()).Err())
			w.described(layout, "a", "s", 7, quiet, stated(`"open"`))
			key, field, other := layout.KeyOf("sessions", "a"), map[registry.Layout]string{registry.Object: "a", registry.Fields: "a:json"}[layout], map[registry.Layout]string{registry.Object: "b", registry.Fields: "b:json"}[layout]
			if layout.HasOwnKey() {
				field, other = "json", "json"
			}
			if err := w.Client.Do(t.Context(), "HPEXPIRE", key, 3_600_000, "FIELDS", 1, field).Err(); err != nil {
				t.Skipf("fields do not expire here: %v", err)
			}
			at := w.Client.HPExpireTime(t.Context(), key, field).Val()
			w.message("s", 7, quiet, burst.Frame)
			if report := w.agree(abandoning); report.SessionsAbandoned != 1 {
				t.Errorf("%s: %+v", layout, report)
			}
			if got := w.sessionJSON(layout, "a"); got != stated(`"abandoned"`) {
				t.Errorf("%s: the entry says %s", layout, got)
			}
			if now := w.Client.HPExpireTime(t.Context(), key, field).Val(); len(at) != 1 || at[0] <= 0 || !slices.Equal(now, at) {
				t.Errorf("%s: the field expires at %v, and did at %v", layout, now, at)
			}
			// What expired by itself is no session, and no reason to fail.
			w.noError(w.Client.HSet(t.Context(), key, field, w.Client.HGet(t.Context(), key, field).Val()).Err())
			w.described(layout, "b", "s", 8, quiet, stated(`"open"`))
			w.noError(w.Client.Do(t.Context(), "HPEXPIRE", layout.KeyOf("sessions", "b"), 0, "FIELDS", 1, other).Err())
			if report := w.agree(abandoning); report.SessionsAbandoned != 0 || report.Errors != 0 {
				t.Errorf("%s: %+v", layout, report)
			}
		}
	})
}

// Who reads the messages of one session is not told that it is abandoned where
// another one has its id.
func TestASessionThatSharesItsIDWithALiveOneIsMarkedInItsEntryAlone(t *testing.T) {
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			w := newFixture(t)
			w.described(layout, "live", "s", 60, quiet, stated(`"open"`))
			w.described(layout, "older", "s", 60, quiet+time.Hour, stated(`"open"`))
			w.message("s", 60, time.Second, burst.Frame)
			if report := w.agree(abandoning); report.SessionsAbandoned != 1 || report.SessionsFlowing != 1 || report.Errors != 0 {
				t.Errorf("%+v", report)
			}
			if w.sessionJSON(layout, "older") != stated(`"abandoned"`) || w.sessionJSON(layout, "live") != stated(`"open"`) {
				t.Errorf("the entries say %s and %s", w.sessionJSON(layout, "older"), w.sessionJSON(layout, "live"))
			}
			w.expect("told", w.told("s", 60), stated(`"open"`))
		})
	}
}

func TestOnlyWhoIsWaitedForInVainIsMarked(t *testing.T) {
	t.Parallel()
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			w := newFixture(t)
			open := stated(`"open"`)
			w.described(layout, "updated", "a", 1, fresh, open)
			w.described(layout, "closed", "b", 2, quiet, stated(`"closed"`))
			w.described(layout, "failed", "c", 3, quiet, stated("28"))
			w.described(layout, "without a Session JSON", "d", 4, quiet, "")
			w.described(layout, "garbled", "e", 5, quiet, open+"}")
			w.described(layout, "flowing", "f", 6, quiet, open)
			w.message("f", 6, fresh, burst.Frame)
			w.message("f", 99, fresh, burst.Frame)
			w.described(layout, "stale", "g", 7, old, open)
			w.described(layout, "in a stream with ids of its own", "h", 8, quiet, open)
			w.noError(w.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:h", ID: "5-1", Values: []any{"id", 9, "data", "x"}}).Err())
			w.described(layout, "in no stream", "i", 9, quiet, open)
			w.noError(w.Client.Set(t.Context(), "stream:i", "text", 0).Err())
			w.described(layout, "ahead", "j", 10, -48*time.Hour, open)

			w.described(layout, "quiet", "y", 20, quiet, open)
			w.message("y", 20, quiet, burst.Wrap)
			w.message("y", 99, fresh, burst.Wrap)
			w.described(layout, "waiting for its first message", "z", 21, quiet, stated(`"waiting"`))
			before := w.registry()
			plan, actions := w.plan(abandoning)
			report := w.run(abandoning)
			if plan.SessionsAbandoned != 2 || report.SessionsAbandoned != 2 || report.SessionsExpired != 1 || report.Errors != 0 {
				t.Errorf("the plan is %+v\n%+v\nthe report %+v", plan, actions, report)
			}
			if told := w.told("y", 20); len(told) != 2 || burst.State([]byte(told[1])) != burst.StateAbandoned {
				t.Errorf("the readers were told %q", told)
			}
			if w.Client.Exists(t.Context(), "stream:z").Val() != 0 || w.Client.XLen(t.Context(), "stream:f").Val() != 2 || w.Client.XLen(t.Context(), "stream:h").Val() != 1 {
				t.Error("a message went where none belongs")
			}
			after := strings.Split(w.registry(), "\n")
			for line := range strings.SplitSeq(before, "\n") {
				changes := strings.Contains(line, "quiet") || strings.Contains(line, "waiting for its first") || strings.Contains(line, "stale")
				if !changes && !slices.Contains(after, line) {
					t.Errorf("changed: %s", line)
				}
			}
			for _, identity := range []string{"quiet", "waiting for its first message"} {
				if got := w.sessionJSON(layout, identity); burst.State([]byte(got)) != burst.StateAbandoned {
					t.Errorf("%s: %s", identity, got)
				}
			}
		})
	}
}

func TestWithoutALimitNobodyIsMarked(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.described(registry.Keys, "a", "s", 7, quiet, stated(`"open"`))
	w.message("s", 7, quiet, burst.Frame)
	if report := w.run(nil); report.SessionsAbandoned != 0 || w.sessionJSON(registry.Keys, "a") != stated(`"open"`) {
		t.Errorf("%+v", report)
	}
}

func TestOthersSessionsAreNotMarked(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	for _, stream := range []string{"ours", "theirs"} {
		w.described(registry.Object, stream, stream, 7, quiet, stated(`"open"`))
		w.message(stream, 7, quiet, burst.Frame)
	}
	exclude, _ := buffer.ParsePatterns("theirs")
	b := w.open(w.URL(), func(o *buffer.Options) { o.Exclude = exclude })
	report, err := cleanup.New(b, w.options(abandoning)).Run(t.Context())
	if err != nil || report.SessionsAbandoned != 1 || len(w.told("theirs", 7)) != 1 || w.sessionJSON(registry.Object, "theirs") != stated(`"open"`) {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestAnEmptyStreamIsToldInTheEncodingOfTheOthers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		others []burst.Encoding
		pinned burst.Encoding
		want   burst.Encoding
	}{
		"they agree":         {[]burst.Encoding{burst.Pickle, burst.Pickle}, burst.Auto, burst.Pickle},
		"they do not agree":  {[]burst.Encoding{burst.Pickle, burst.Wrap}, burst.Auto, burst.Auto},
		"there are none":     {nil, burst.Auto, burst.Auto},
		"an encoding is set": {[]burst.Encoding{burst.Pickle}, burst.Frame, burst.Frame},
	} {
		t.Run(name, func(t *testing.T) {
			w := newFixture(t)
			w.described(registry.Keys, "a", "s", 7, quiet, stated(`"open"`))
			w.message("s", 7, quiet, burst.Wrap)
			w.noError(w.Client.XTrimMaxLen(t.Context(), "stream:s", 0).Err())
			for i, enc := range tt.others {
				w.message(fmt.Sprint("other ", i), 8, fresh, enc)
			}
			report := w.run(func(o *cleanup.Options) { abandoning(o); o.Encoding = tt.pinned })
			if report.SessionsAbandoned != 1 || burst.State([]byte(w.sessionJSON(registry.Keys, "a"))) != burst.StateAbandoned {
				t.Errorf("%+v", report)
			}
			if tt.want != burst.Auto {
				w.inspected("s", 1, tt.want)
			} else if n := w.Client.XLen(t.Context(), "stream:s").Val(); n != 0 {
				t.Errorf("%d messages were written in a encoding that nobody knows", n)
			}
		})
	}
}

func TestWithoutMemoryTheSessionsAreLeftToALaterRun(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	for i := range 5 {
		name := fmt.Sprint(i)
		w.described(registry.Object, name, name, 7, quiet, stated(`"open"`))
		w.message(name, 7, quiet, burst.Frame)
	}
	w.session(registry.Object, "stale", "0", old)
	w.Client.ConfigSet(t.Context(), "maxmemory", "1")
	var oom atomic.Int64
	b := w.open(w.URL(), func(o *buffer.Options) {
		o.OnError = func(c redisconn.Class) {
			if c == redisconn.ClassOOM {
				oom.Add(1)
			}
		}
	})
	report, err := cleanup.New(b, w.options(abandoning)).Run(t.Context())
	if err != nil || report.SessionsAbandoned != 0 || report.Errors != 1 || report.SessionsExpired != 1 || oom.Load() == 0 {
		t.Errorf("%+v, %v, %d", report, err, oom.Load())
	}
	if n := strings.Count(w.log.String(), "session not marked as abandoned"); n != 1 || !strings.Contains(w.log.String(), "class=oom") {
		t.Errorf("%s", w.log.String())
	}
	w.Client.ConfigSet(t.Context(), "maxmemory", "0")
	if report := w.run(abandoning); report.SessionsAbandoned != 5 || report.Errors != 0 {
		t.Errorf("%+v", report)
	}
}

func TestWhatWasToldOfAnAbandonedSessionIsNoSignOfLife(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	limits := func(o *cleanup.Options) { o.Limits.AbandonAfter = 23 * time.Hour }
	w.described(registry.Fields, "a", "s", 7, 23*time.Hour+time.Minute, stated(`"open"`))
	w.message("s", 7, 23*time.Hour+time.Minute, burst.Frame)
	if report := w.run(limits); report.SessionsAbandoned != 1 {
		t.Fatalf("%+v", report)
	}
	// Two hours later the message that told of it is still fresh.
	store := &counting{Buffer: w.open(w.URL(), nil), now: w.now.Add(2 * time.Hour)}
	report, err := cleanup.New(store, w.options(limits)).Run(t.Context())
	if err != nil || report.SessionsExpired != 1 || report.SessionsFlowing != 0 {
		t.Errorf("%+v, %v", report, err)
	}
	// The stream follows a day after its last message, and not before.
	if report.StreamsRetired != 0 {
		t.Error("the stream is retired while its last message is young")
	}
	store.now = w.now.Add(25 * time.Hour)
	if report, err := cleanup.New(store, w.options(limits)).Run(t.Context()); err != nil || report.StreamsRetired != 1 {
		t.Errorf("a day later: %+v, %v", report, err)
	}
}

func TestTheGuardDoesNotMatter(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	for i := range 30 {
		w.session(registry.Object, fmt.Sprint("stale ", i), "s", old)
	}
	w.described(registry.Object, "a", "s", 7, quiet, stated(`"open"`))
	w.message("s", 7, quiet, burst.Frame)
	report := w.run(func(o *cleanup.Options) { abandoning(o); o.Guard = cleanup.DefaultGuard })
	if report.Guard == "" || report.SessionsExpired != 0 || report.SessionsAbandoned != 1 || report.Held == nil {
		t.Fatalf("%+v", report)
	}
	for _, a := range report.Held.Examples {
		if a.Kind == cleanup.Abandon {
			t.Errorf("held back: %+v", a)
		}
	}
}

// brittle fails one step of marking.
type brittle struct {
	*buffer.Buffer
	err error
}

func (b brittle) SetJSON(context.Context, registry.Session, string, string) (bool, error) {
	return false, b.err
}

func TestASessionThatCannotBeMarkedIsCountedAndTheRunGoesOn(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	for _, name := range []string{"a", "b"} {
		w.described(registry.Object, name, "s", 7, quiet, stated(`"open"`))
	}
	store := brittle{w.open(w.URL(), nil), errors.New("no")}
	report, err := cleanup.New(store, w.options(abandoning)).Run(t.Context())
	if err != nil || report.Errors != 2 || report.SessionsAbandoned != 0 {
		t.Errorf("%+v, %v", report, err)
	}
	store.err = context.DeadlineExceeded
	if _, err := cleanup.New(store, w.options(abandoning)).Run(t.Context()); !redisconn.IsLost(err) {
		t.Errorf("the run ends with %v", err)
	}
}
