package cleanup_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestWhatCannotBeReadKeepsTheStreamsItMentions(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	for _, name := range []string{"car", "dead", "élan"} {
		w.stream(name, older)
	}
	w.Client.HSet(t.Context(), "sessions",
		"python", `{"lastUpdated":1763874856000,"tStart":NaN,"streamName":"car"}`,
		"seconds", fmt.Sprintf(`{"lastUpdated":%d,"streamName":"x"}`, w.now.Unix()),
		"array", `[{"streamName":"\u00c9","x":"\u00e9lan"}]`,
		"web", `{"user":"bob","updated":1600000000000}`)
	w.Client.HSet(t.Context(), "sessions:web1", "user", "bob", "updated", "1700000000000")
	report := w.run(nil)
	if report.SessionsMalformed != 3 || report.SessionsForeign != 2 || report.SessionsExpired != 0 {
		t.Errorf("%+v", report)
	}
	w.expect("keys", w.keys(), "car", "élan")
	w.expect("sessions", w.sessions(), "array", "python", "seconds", "web", "web1")
}

func TestAKeyOfAnotherTypeAtSessionsRetiresNothing(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.stream("s", older)
	w.session("keys", "stale", "other", older)
	w.Client.Set(t.Context(), "sessions", "no Hash", 0)
	if report := w.run(nil); report.SessionsMalformed != 1 || report.SessionsExpired != 1 || report.StreamsRetired != 0 {
		t.Errorf("%+v", report)
	}
	w.expect("keys", w.keys(), "s")
	if _, actions := w.plan(nil); len(actions) != 0 {
		t.Errorf("planned %v", actions)
	}
}

func TestForeignEntriesAreToldOnceAndJudgedWhereNobodyElseUsesTheKeys(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.Client.HSet(t.Context(), "sessions", "web", `{"user":"bob","updated":1600000000000}`)
	w.Client.HSet(t.Context(), "sessions:web1", "user", "bob", "updated", "1700000000000")
	cleaner := cleanup.New(w.open(w.URL(), nil), w.options(nil))
	for range 2 {
		if report, err := cleaner.Run(t.Context()); err != nil || report.SessionsForeign != 2 || report.Sessions != 0 {
			t.Errorf("%+v, %v", report, err)
		}
	}
	if n := strings.Count(w.log.String(), "SESSIONS_FOREIGN=expire"); n != 1 {
		t.Errorf("told %d times:\n%s", n, w.log.String())
	}
	w.expect("sessions", w.sessions(), "web", "web1")
	judging := w.open(w.URL(), func(o *buffer.Options) { o.JudgeForeign = true })
	report, err := cleanup.New(judging, w.options(nil)).Run(t.Context())
	if err != nil || report.SessionsForeign != 0 || report.SessionsExpired != 2 {
		t.Errorf("%+v, %v", report, err)
	}
	w.expect("sessions", w.sessions())
}

func TestTooMuchThatCannotBeReadHoldsRetirementBackForAWhile(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.stream("dead", 200*24*time.Hour)
	w.Client.HSet(t.Context(), "sessions", "cut off", `{"streamName":"`+strings.Repeat("x", 1<<20))
	if w.agree(nil); !strings.Contains(w.log.String(), "unreadable sessions hold back retirement") {
		t.Errorf("the log does not say so:\n%s", w.log.String())
	}
	w.agree(nil)
	w.expect("keys", w.keys(), "dead")

	const since = "unreadable_since_ms"
	noted, err := w.Client.HGet(t.Context(), "streamkeeper:left", since).Int64()
	if err != nil || noted < w.now.UnixMilli() {
		t.Fatalf("noted since %d, %v", noted, err)
	}
	w.Client.HSet(t.Context(), "streamkeeper:left", since, w.now.Add(-7*24*time.Hour+time.Hour).UnixMilli())
	w.agree(nil)
	w.expect("keys", w.keys(), "dead")
	w.Client.HSet(t.Context(), "streamkeeper:left", since, w.now.Add(-7*24*time.Hour-time.Hour).UnixMilli())
	w.agree(nil)
	w.expect("keys", w.keys())

	w.Client.HDel(t.Context(), "sessions", "cut off")
	w.run(nil)
	if left := w.Client.HGet(t.Context(), "streamkeeper:left", since).Val(); left != "0" {
		t.Errorf("still noted: %s", left)
	}
}

// A malformed session owns each stream that its bytes name, wherever they lie and
// whichever it seems to name.
func TestAMalformedSessionOwnsWhatItsBytesName(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	others, err := buffer.ParsePatterns("theirs")
	w.noError(err)
	for name, write := range map[string][]any{
		"no time, in each layout":           {"HSET", "sessions", "a", `{"streamSessionId":3,"json":"{\"streamName\":\"car\"}"}`},
		"a name that is JSON":               {"HSET", "sessions:a", "lastUpdated", "soon", "streamName", `"car"`},
		"a name in the Session JSON":        {"HSET", "sessions:a", "json", `{"streamName":"car"}`, "tStart", 1},
		"a name in the Session JSON, flat":  {"HSET", "sessions", "a:json", `{"streamName":"car"}`, "a:tStart", 1},
		"another name beside it":            {"HSET", "sessions", "a", `{"streamName":"other","note":"car"}`},
		"a text instead of a Hash":          {"SET", "sessions:a", `{"lastUpdated":1763874856000,"streamName":"car"}`},
		"a long text":                       {"SET", "sessions:a", `{"streamName":"z","x":"` + strings.Repeat("y", 500_000) + `","streamName":"car"}`},
		"a long Session JSON":               {"HSET", "sessions:a", "lastUpdated", "soon", "json", `{"streamName":"` + strings.Repeat("y", 500_000) + `","x":"car"}`, "tStart", 1},
		"a stream of others that it names":  {"HSET", "sessions", "a", `{"streamName":"theirs","tStart":NaN,"x":"car"}`},
		"a stream of others, in the layout": {"HSET", "sessions:a", "lastUpdated", "soon", "streamName", "theirs", "json", `{"x":"car"}`},
	} {
		t.Run(name, func(t *testing.T) {
			w := &fixture{Server: w.Server, t: t, now: w.now}
			w.Client.FlushDB(t.Context())
			w.stream("car", older)
			w.stream("dead", older)
			w.noError(w.Client.Do(t.Context(), write...).Err())
			b := w.open(w.URL(), func(o *buffer.Options) { o.Exclude = others })
			report, err := cleanup.New(b, w.options(nil)).Run(t.Context())
			if err != nil || report.StreamsRetired != 1 {
				t.Errorf("%+v, %v", report, err)
			}
			w.expect("streams", w.listed(), "car")
			if n := w.Client.Exists(t.Context(), "sessions", "sessions:a").Val(); n != 1 {
				t.Error("the session went")
			}
		})
	}
}

// What is too long to be looked through may own any stream.
func TestATextThatIsTooLongKeepsAllStreams(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.stream("car", older)
	w.noError(w.Client.Set(t.Context(), "sessions:a", `{"streamName":"z","x":"`+strings.Repeat("y", 2_000_000)+`","streamName":"car"}`, 0).Err())
	if report := w.run(nil); report.SessionsMalformed != 1 || report.StreamsRetired != 0 {
		t.Errorf("%+v", report)
	}
}

// A text where a session would lie, and nothing of which is RTA's, is none.
func TestATextOfOthersIsNoSession(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.stream("car", older)
	w.noError(w.Client.Set(t.Context(), "sessions:web", `{"user":"bob","car":1}`, 0).Err())
	w.noError(w.Client.RPush(t.Context(), "sessions:list", "streamName", "car").Err())
	if report := w.run(nil); report.Sessions != 0 || report.SessionsMalformed != 0 || report.StreamsRetired != 1 {
		t.Errorf("%+v", report)
	}
}

func TestTheGuardDoesNotCompareSessionsThatExpireByThemselves(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		w := &fixture{Server: start(t), t: t, now: time.Now()}
		for i := range 60 {
			w.session(registry.Object, fmt.Sprint("car ", i), "s", fresh)
		}
		w.run(withGuard)
		for i := range 60 {
			err := w.Client.Do(t.Context(), "HPEXPIRE", "sessions", 3_600_000, "FIELDS", 1, fmt.Sprint("car ", i)).Err()
			if err != nil {
				t.Skipf("fields do not expire here: %v", err)
			}
		}
		for range 2 {
			if report := w.run(withGuard); report.Guard != "" || report.SessionsLive != 60 {
				t.Errorf("%+v", report)
			}
		}
	})
}
