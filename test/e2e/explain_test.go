package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// explained is what the test reads of the JSON of explain.
type explained struct {
	Streams []struct {
		Stream, Rule, Fate string
		FateReason         string `json:"fate_reason"`
		Entries, Bytes     int64
		Trim               struct{ Entries int64 }
		GroupBytes         int64 `json:"group_bytes"`
		Groups             []struct{ Bytes int64 }
		Protected          []struct {
			By, Group string
			Entries   int64
		}
		Sessions []struct{ Session, State string }
	}
	Sessions []struct {
		Session, Layout, State, Next string
		JSONState                    string `json:"json_state"`
	}
}

func TestExplainSaysWhatARunDoesAndWhyTheRestStays(t *testing.T) {
	t.Parallel()
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		server := start(t)
		w := newFixture(server.Client, server.URL())
		w.env = program.Env{
			"REDIS_URL": "redis://keeper:secret@" + server.Addr, "TRIM_RESPECT_GROUPS": "true", "TRIM_POLICIES": "busy: max_length=1000", "CLEANUP_BRAKE": "1",
		}
		ctx := t.Context()
		code, words, _ := w.env.Run(t, "acl", "--read-only")
		if code != cli.ExitOK {
			t.Fatal("acl failed")
		}
		keeperUnder(t, server, strings.Fields(words))
		w.stream(t, "busy", 1500, 0, 10*time.Millisecond)
		w.stream(t, "dead", 5, 72*time.Hour, time.Millisecond)
		mustDo(t, w.client.XGroupCreate(ctx, "stream:busy", "viewer", "0").Err())
		w.session(t, "object", "live", "busy", time.Minute)
		w.session(t, "object", "old", "other", 48*time.Hour)
		before := fmt.Sprint(w.client.DBSize(ctx).Val(), w.client.XLen(ctx, "stream:busy").Val())

		code, out, errs := w.env.Run(t, "explain", "busy", "dead", "live", "old", "-o", "json")
		if code != cli.ExitOK {
			t.Fatalf("exit %d\n%s", code, errs)
		}
		x := decode[explained](t, out)
		if len(x.Streams) != 2 || len(x.Sessions) != 2 {
			t.Fatalf("%s", out)
		}
		busy, dead, live, old := x.Streams[0], x.Streams[1], x.Sessions[0], x.Sessions[1]
		if busy.GroupBytes < 100 || busy.GroupBytes > 10_000 || len(busy.Groups) != 1 || busy.Groups[0].Bytes != busy.GroupBytes || dead.GroupBytes != 0 {
			t.Errorf("memory of groups: busy %+v; dead %+v", busy, dead)
		}
		if busy.Rule != "busy" || busy.Entries != 1500 || busy.Bytes == 0 || busy.Trim.Entries != 0 || len(busy.Protected) != 1 || busy.Protected[0].Group != "viewer" ||
			busy.Protected[0].Entries != 500 || busy.Fate != "stays" || len(busy.Sessions) != 1 || busy.Sessions[0].State != "live" {
			t.Errorf("busy: %+v", busy)
		}
		if dead.Fate != "retire" || !strings.Contains(dead.FateReason, "last entry 3d ago") {
			t.Errorf("dead: %+v", dead)
		}
		if live.Layout != "object" || live.State != "live" || live.Next != "nothing" || old.State != "stale" || old.Next != "expire" {
			t.Errorf("live: %+v; old: %+v", live, old)
		}
		if after := fmt.Sprint(w.client.DBSize(ctx).Val(), w.client.XLen(ctx, "stream:busy").Val()); after != before {
			t.Errorf("%s became %s", before, after)
		}
		code, out, _ = w.env.Run(t, "explain", "busy")
		for _, want := range []string{"the rule for busy", `consumer group "viewer" still needs 1 500`, "; consumer groups take", "0 pending, about ", "a session names it"} {
			if !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
				t.Errorf("the text does not say %q:\n%s", want, out)
			}
		}
		if code != cli.ExitOK || strings.Contains(out, "  \n") {
			t.Errorf("exit %d", code)
		}
		if code, out, errs = w.env.Run(t, "explain", "bussy"); code != cli.ExitFailure || out != "" || !strings.Contains(errs, `did you mean "busy"?`) {
			t.Errorf("exit %d, stdout %q, stderr %s", code, out, errs)
		}
		mustDo(t, w.client.HSet(ctx, "sessions", "web", `{"user":"bob","updated":1600000000000}`).Err())
		if code, out, errs = w.env.Run(t, "explain", "web"); code != cli.ExitOK || !strings.Contains(out, "foreign, no RTA field marks it") {
			t.Errorf("exit %d\n%s%s", code, out, errs)
		}
	})
}

func TestExplainSaysSinceWhenAGroupHasNoConsumers(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	w := newFixture(server.Client, server.URL())
	w.env = program.Env{"REDIS_URL": server.URL(), "TRIM_RESPECT_GROUPS": "true"}
	w.stream(t, "busy", 20, 0, 10*time.Millisecond)
	mustDo(t, w.client.XGroupCreate(t.Context(), "stream:busy", "viewer", "0").Err())
	type groups struct {
		Streams []struct {
			Groups []struct {
				Since time.Time `json:"without_consumers_since"`
			}
		}
	}
	since := func() time.Time {
		return decode[groups](t, w.env.MustRun(t, "explain", "busy", "-o", "json")).Streams[0].Groups[0].Since
	}
	if at := since(); !at.IsZero() {
		t.Errorf("before anybody has seen it: %s", at)
	}
	w.env["TRIM_MAX_LENGTH"], w.env["TRIM_EXACT"] = "10", "true"
	w.env.MustRun(t, "once", "trim")
	if age := time.Since(since()); age < -time.Second || age > time.Minute {
		t.Errorf("first seen %s ago", age)
	}
	if out := strings.Join(strings.Fields(w.env.MustRun(t, "explain", "busy")), " "); !strings.Contains(out, ", first seen without consumers 20") {
		t.Errorf("explain says\n%s", out)
	}
	mustDo(t, w.client.XGroupCreateConsumer(t.Context(), "stream:busy", "viewer", "one").Err())
	if at := since(); !at.IsZero() {
		t.Errorf("with a consumer: %s", at)
	}
}

func TestExplainReadsNothingOfWhatIsLeftToOthers(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	w := newFixture(server.Client, server.URL())
	w.stream(t, "theirs", 50, time.Hour, time.Millisecond)
	w.stream(t, "ours", 5, time.Hour, time.Millisecond)
	w.session(t, "object", "their-session", "theirs", 48*time.Hour)
	w.session(t, "keys", "their-other", "theirs", 48*time.Hour)
	w.env["STREAMS_EXCLUDE"] = "their?"
	w.env["SESSIONS_LAYOUT"] = "object,keys"
	// Whoever may not read the stream sees that it is not read.
	code, words, errs := w.env.Run(t, "acl", "--read-only")
	if code != cli.ExitOK {
		t.Fatal(errs)
	}
	keeperUnder(t, server, strings.Fields(strings.Replace(words, "~stream:*", "~stream:ours ~stream:their-* ~stream:theiro ~stream:rights", 1)))
	w.env["REDIS_URL"] = "redis://keeper:secret@" + server.Addr
	for _, name := range []string{"theirs", "their-session", "their-other"} {
		code, out, errs := w.env.Run(t, "explain", name)
		if code != cli.ExitOK || !strings.Contains(out, "STREAMS_INCLUDE and STREAMS_EXCLUDE leave it to others") || strings.Contains(out, "50 entries") || strings.Contains(out, "stale") {
			t.Errorf("%s: exit %d\n%s%s", name, code, out, errs)
		}
	}
	if code, out, errs := w.env.Run(t, "explain", "theirs", "ours", "--at", "00:00", "-o", "json"); code != cli.ExitOK || strings.Count(out, `"others": true`) != 1 || strings.Count(out, `"at"`) != 1 {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if code, _, errs := w.env.Run(t, "explain", "theiro"); code != cli.ExitFailure || !strings.Contains(errs, "leave a stream of that name to others") {
		t.Errorf("exit %d, %s", code, errs)
	}
	if got := denied(t, server); len(got) > 0 {
		t.Errorf("denied: %q", got)
	}
}

func TestExplainKnowsWhatIsGone(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	w := newFixture(server.Client, server.URL())
	w.env["CLEANUP_BRAKE"], w.env["TRIM_EXACT"], w.env["TRIM_MAX_LENGTH"] = "1", "true", "100"
	ctx := t.Context()
	w.stream(t, "dead", 5, 72*time.Hour, time.Millisecond)
	w.stream(t, "busy", 300, 0, time.Minute)
	w.session(t, "object", "old", "dead", 48*time.Hour)
	w.session(t, "object", "live", "busy", time.Minute)
	oldest := func() time.Time {
		at, err := buffer.ParseID(w.client.XRangeN(ctx, "stream:busy", "-", "+", 1).Val()[0].ID)
		mustDo(t, err)
		return at.Time()
	}
	begun := oldest()
	expl := func(args ...string) string {
		t.Helper()
		code, out, errs := w.env.Run(t, append([]string{"explain"}, args...)...)
		if code != cli.ExitOK {
			t.Errorf("%v: exit %d, %s", args, code, errs)
		}
		return strings.Join(strings.Fields(out), " ")
	}
	says := func(out string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !strings.Contains(out, want) {
				t.Errorf("does not say %q:\n%s", want, out)
			}
		}
	}
	// Switched off is said, with what a run would do.
	off := w.env
	w.env = program.Env{"TRIM_ENABLED": "false", "CLEANUP_ENABLED": "false"}
	for name, value := range off {
		if w.env[name] == "" {
			w.env[name] = value
		}
	}
	says(expl("busy", "dead", "old"), "trimming is off (TRIM_ENABLED is false); else: 300 entries", "stays: clean-up is off (CLEANUP_ENABLED is false); else retire: no live session, last entry",
		"nothing: clean-up is off (CLEANUP_ENABLED is false); else expire: not updated for")
	w.env = off

	w.env.MustRun(t, "once", "trim", "cleanup")
	says(expl("old"), "entry none: it is gone", "expire: not updated for", ", by ")
	says(expl("dead"), "its key is not there", "retired: retired by streamkeeper", "retire: no session, last entry 3d", ", by ")
	says(expl("busy"), "trimmed last at ", " by length, by ", ": 200 entries, about ")
	if code, _, errs := w.env.Run(t, "explain", "--session", "dead"); code != cli.ExitFailure {
		t.Errorf("exit %d, %s", code, errs)
	}

	at := func(when time.Time) string { return when.UTC().Format("2006-01-02T15:04:05Z") }
	says(expl("busy", "--at", at(begun.Add(time.Minute))), "removed yes: trimmed between ", "200 entries in that hour")
	says(expl("busy", "--at", at(oldest().Add(time.Minute))), "removed no: it holds 1 entry of that time")
	says(expl("dead", "--at", at(time.Now().Add(-72*time.Hour))), "removed yes: the stream was retired at ")
	ours := oldest()
	mustDo(t, w.client.XTrimMaxLen(ctx, "stream:busy", 50).Err())
	says(expl("busy", "--at", at(ours.Add(time.Minute))), "removed by others, not by streamkeeper: the oldest entry has moved since streamkeeper trimmed last", "50 entries went since")
	mustDo(t, w.client.Del(ctx, "stream:busy").Err())
	says(expl("busy", "--at", at(time.Now().Add(-time.Second))), "removed by others, not by streamkeeper: there is no key, and streamkeeper did not retire it")

	// A session that came back is explained with what was done before.
	w.session(t, "object", "old", "dead", time.Minute)
	says(expl("old"), "state live", "expire: not updated for")
	// What is no stream, and a history that cannot be read.
	mustDo(t, w.client.Set(ctx, "stream:busy", "x", 0).Err())
	says(expl("busy"), "next trim nothing: its key is a string, no stream")
	mustDo(t, w.client.Set(ctx, "streamkeeper:history", "x", 0).Err())
	says(expl("live"), "history not known: ", "streamkeeper:history")
	for _, args := range [][]string{{"busy", "--at", "noon"}, {"old", "--session", "--at", "12:00"}} {
		if code, _, errs := w.env.Run(t, append([]string{"explain"}, args...)...); code != cli.ExitUsage {
			t.Errorf("%v: exit %d, %s", args, code, errs)
		}
	}
}

func TestANameMayBeGivenAsTheKeyOfItsStream(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	w := newFixture(server.Client, server.URL())
	w.env["CLEANUP_BRAKE"] = "1"
	w.stream(t, "car 7", 5, time.Minute, time.Millisecond)
	w.stream(t, "car 8", 5, time.Minute, time.Millisecond)
	w.stream(t, "stream:car 8", 7, time.Minute, time.Millisecond)
	w.stream(t, "gone", 5, 72*time.Hour, time.Millisecond)
	w.session(t, "object", "stream:car 7b", "car 7", time.Minute)
	w.env.MustRun(t, "once", "cleanup")
	for name, c := range map[string]struct {
		want string
		took bool
	}{
		"stream:car 7": {`stream car 7`, true}, "stream:car 8": {"stream stream:car 8", false}, "stream:car 7b": {"session stream:car 7b", false},
		"stream:gone": {"stream gone", true}, "stream:stream:car 8": {"stream stream:car 8", true},
	} {
		code, out, errs := w.env.Run(t, "explain", name)
		if code != cli.ExitOK || !strings.HasPrefix(out, c.want+"\n") || strings.Contains(errs, "took name without key prefix") != c.took {
			t.Errorf("%s: exit %d\n%s%s", name, code, out, errs)
		}
	}
	for _, args := range [][]string{{"--session", "stream:car 7"}, {"stream:"}, {"stream:caar 7"}} {
		if code, out, errs := w.env.Run(t, append([]string{"explain"}, args...)...); code != cli.ExitFailure || strings.Contains(errs, "took") {
			t.Errorf("%v: exit %d\n%s%s", args, code, out, errs)
		}
	}
	if _, _, errs := w.env.Run(t, "explain", "stream:caar 7"); !strings.Contains(errs, "did you mean") {
		t.Errorf("%s", errs)
	}
	if out := w.env.MustRun(t, "history", "stream:gone"); !strings.Contains(out, "retire") {
		t.Errorf("history says\n%s", out)
	}
	// Once is enough.
	if out := w.env.MustRun(t, "explain", "gone", "gone", "stream:gone"); strings.Count(out, " retire: ") != 3 {
		t.Errorf("explain says\n%s", out)
	}
	// The prefix is the one that is in use.
	w.env["STREAM_PREFIX"] = "rta:"
	mustDo(t, server.Client.Rename(t.Context(), "stream:car 7", "rta:car 7").Err())
	for _, command := range []string{"explain", "inspect"} {
		if _, out, errs := w.env.Run(t, command, "rta:car 7"); !strings.Contains(errs, "took name without key prefix") {
			t.Errorf("%s: %s%s", command, out, errs)
		}
	}
}
