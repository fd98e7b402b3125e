package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

type historyJSON struct {
	Recorded int64
	Removals []struct {
		Time                           time.Time
		Action, Name, Reason, Instance string
		Missing                        int64
	}
	Trims []struct {
		Hour             time.Time
		Stream, Instance string
		Before           string `json:"oldest_before"`
		After            string `json:"oldest_after"`
		Entries, Bytes   int64
		Others           int64 `json:"entries_gone_otherwise"`
		Reasons          []string
	}
}

func historyOf(t *testing.T, env program.Env, args ...string) (h historyJSON) {
	t.Helper()
	mustDo(t, json.Unmarshal([]byte(env.MustRun(t, append([]string{"history", "-o", "json"}, args...)...)), &h))
	return h
}

// staleSessions puts sessions in that are to expire.
func staleSessions(t *testing.T, s *redistest.Server, count int) {
	t.Helper()
	pipe, at := s.Client.Pipeline(), time.Now().Add(-26*time.Hour).UnixMilli()
	for i := range count {
		pipe.HSet(t.Context(), fmt.Sprintf("sessions:s-%d", i), "streamName", "none", "lastUpdated", at, "json", "{}", "streamSessionId", i)
	}
	_, err := pipe.Exec(t.Context())
	mustDo(t, err)
}

func TestTheHistoryShowsWhatEachInstanceRemoved(t *testing.T) {
	t.Parallel()
	f := startFixture(t, "object")
	f.env["CLEANUP_BRAKE"] = "1"
	if out := f.env.MustRun(t, "history"); !strings.Contains(out, "holds no removal") {
		t.Errorf("before: %s", out)
	}
	before := dump(t, f.client)
	f.env.MustRun(t, "once", "--dry-run")
	if after := dump(t, f.client); after != before {
		t.Errorf("a dry run left\n%s", after)
	}
	f.env.MustRun(t, "once", "cleanup")
	instance := program.Start(t, f.server.URL(), map[string]string{"CLEANUP_BRAKE": "1", "CLEANUP_SCHEDULE": "@every 1s"})
	staleSessions(t, f.server, 3)
	program.Eventually(t, 20*time.Second, "the daemon records", func() bool { return historyOf(t, f.env, "s-1").Recorded >= 7 })
	// What is in Redis outlives who has written it.
	instance.Kill()
	all := historyOf(t, f.env)
	got, instances := make(map[string]int), make(map[string]bool)
	for _, r := range all.Removals {
		got[r.Action+" "+r.Name]++
		instances[r.Instance] = true
		if age := time.Since(r.Time); age < -time.Minute || age > time.Minute || r.Reason == "" {
			t.Errorf("%+v", r)
		}
	}
	for _, want := range []string{`expire stale \xfe`, "expire stale-2", "retire dead", `retire orphan\xff`, "expire s-0", "expire s-1", "expire s-2"} {
		if got[want] != 1 {
			t.Errorf("%s: %d times in %v", want, got[want], got)
		}
	}
	if len(instances) != 2 {
		t.Errorf("the instances are %v", instances)
	}
	if one := historyOf(t, f.env, `orphan\xff`, "s-2"); len(one.Removals) != 2 || one.Removals[0].Name != "s-2" {
		t.Errorf("two names: %+v", one)
	}
	for args, want := range map[string]int{"--action retire": 2, "--since 1h": len(all.Removals), "--since 1ms": 0} {
		if some := historyOf(t, f.env, strings.Fields(args)...); len(some.Removals) != want {
			t.Errorf("%s: %d entries, not %d", args, len(some.Removals), want)
		}
	}
	if out := f.env.MustRun(t, "history", "dead"); !strings.Contains(out, "retire  dead  no session, last entry ") || !strings.Contains(out, ", by ") {
		t.Errorf("a table:\n%s", out)
	}
	for _, args := range [][]string{{"--since", "x"}, {"--since", "-1h"}, {"--action", "trim"}} {
		if code, _, errs := f.env.Run(t, append([]string{"history"}, args...)...); code != cli.ExitUsage {
			t.Errorf("%v: exit %d, %s", args, code, errs)
		}
	}
	// Who only reads may look.
	words, _ := aclRule(t, f.env, "--read-only")
	keeperUnder(t, f.server, words)
	f.env["REDIS_URL"] = "redis://keeper:secret@" + f.server.Addr
	if seen := historyOf(t, f.env); len(seen.Removals) != len(all.Removals) || len(denied(t, f.server)) > 0 {
		t.Errorf("%d entries, denied: %q", len(seen.Removals), denied(t, f.server))
	}
}

func TestTheHistoryShowsWhatWasTrimmedByTheHour(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	appended := func() {
		pipe := f.client.Pipeline()
		for i := range 200 {
			pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:exact: one", Values: []any{"id", i}})
		}
		_, err := pipe.Exec(t.Context())
		mustDo(t, err)
	}
	oldest := func() string { return f.client.XRangeN(t.Context(), "stream:exact: one", "-", "+", 1).Val()[0].ID }
	f.env.MustRun(t, "once", "trim")
	first := oldest()
	appended()
	f.env.MustRun(t, "once", "trim")
	h := historyOf(t, f.env, "--trims", "exact: one", "--since", "1h")
	entries := int64(0)
	for _, s := range h.Trims {
		entries += s.Entries
		if s.Stream != "exact: one" || !slices.Equal(s.Reasons, []string{"length"}) || s.Instance == "" || s.Bytes < 10*s.Entries || s.Bytes > 1000*s.Entries || s.Others != 0 {
			t.Errorf("%+v", s)
		}
	}
	// Two, if the hour has just ended.
	if n := len(h.Trims); n < 1 || n > 2 || entries != 977 || h.Trims[0].After != oldest() || n == 2 && h.Trims[0].Before != first {
		t.Errorf("%+v, the oldest is %s", h.Trims, oldest())
	}
	if all := historyOf(t, f.env, "--trims"); len(all.Trims) < 3 {
		t.Errorf("of all streams: %+v", all.Trims)
	}
	if out := f.env.MustRun(t, "history", "--trims", "exact: one"); !strings.Contains(out, "exact: one") || !strings.Contains(out, "by length, by ") {
		t.Errorf("a table:\n%s", out)
	}
	// Out of memory and without the right a stream is trimmed all the same.
	appended()
	f.client.ConfigSet(t.Context(), "maxmemory", "1")
	metrics := t.TempDir() + "/m.prom"
	code, _, errs := f.env.Run(t, "once", "trim", "--metrics-file", metrics)
	f.client.ConfigSet(t.Context(), "maxmemory", "0")
	if n := metricIn(t, metrics, "streamkeeper_history_dropped_total"); n != "1" {
		t.Errorf("%s trims dropped", n)
	}
	if out := f.env.MustRun(t, "history"); !strings.Contains(out, "1 removal  trims of streams could not be recorded (oom), by ") {
		t.Errorf("no gap:\n%s", out)
	}
	if n := f.client.XLen(t.Context(), "stream:exact: one").Val(); n != 1000 || code != cli.ExitOK || !strings.Contains(errs, `"what":"trims"`) {
		t.Errorf("exit %d, %d entries left\n%s", code, n, errs)
	}
}

func TestAHistoryThatCannotBeReadIsAFailure(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	env := program.Env{"REDIS_URL": s.URL()}
	fails := func(key string, args ...string) {
		t.Helper()
		code, out, errs := env.Run(t, append([]string{"history"}, args...)...)
		if code != cli.ExitFailure || out != "" || !strings.Contains(errs, key) {
			t.Errorf("%v: exit %d, stdout %q\n%s", args, code, out, errs)
		}
	}
	mustDo(t, s.Client.Set(t.Context(), "streamkeeper:history", "x", 0).Err())
	fails("streamkeeper:history")
	fails("streamkeeper:history", "s", "-o", "json")
	mustDo(t, s.Client.Del(t.Context(), "streamkeeper:history").Err())
	hour := "streamkeeper:trims:" + time.Now().UTC().Add(-time.Hour).Format("2006-01-02T15")
	mustDo(t, s.Client.Set(t.Context(), hour, "x", 0).Err())
	fails(hour, "--trims")
	fails(hour, "--trims", "s")
	// What has no action is no removal.
	mustDo(t, s.Client.Del(t.Context(), hour).Err())
	for _, values := range [][]any{{"x", "y"}, {"n", "s"}, {"a", "expire", "n", ""}} {
		mustDo(t, s.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: "streamkeeper:history", Values: values}).Err())
	}
	if out := env.MustRun(t, "history", "-o", "json"); strings.Count(out, `"name": ""`) != 1 || strings.Count(out, `"action"`) != 1 {
		t.Errorf("%s", out)
	}
}

func TestARemovalThatCannotBeRecordedIsDoneAndCounted(t *testing.T) {
	t.Parallel()
	const sessions = 450
	s := redistest.Start(t, "--maxmemory-policy", "noeviction")
	env := program.Env{"REDIS_URL": s.URL(), "CLEANUP_BRAKE": "1"}
	metrics := t.TempDir() + "/m.prom"
	expires := func(t *testing.T, env program.Env, maxmemory string) (errs string) {
		t.Helper()
		staleSessions(t, s, sessions)
		s.Client.ConfigSet(t.Context(), "maxmemory", maxmemory)
		code, out, errs := env.Run(t, "once", "cleanup", "--metrics-file", metrics)
		s.Client.ConfigSet(t.Context(), "maxmemory", "0")
		if left := s.Client.Exists(t.Context(), "sessions:s-0", "sessions:s-449").Val(); code != cli.ExitOK || left > 0 {
			t.Errorf("exit %d, %d sessions left\n%s%s", code, left, out, errs)
		}
		if n := metricIn(t, metrics, "streamkeeper_history_dropped_total"); n != fmt.Sprint(sessions) {
			t.Errorf("%s dropped", n)
		}
		return errs
	}
	t.Run("out of memory", func(t *testing.T) {
		expires(t, env, "1")
		if h := historyOf(t, env, "s-1"); len(h.Removals) != 1 || h.Removals[0].Missing != sessions || h.Removals[0].Action != "gap" {
			t.Errorf("%+v", h)
		}
		if out := env.MustRun(t, "history"); !strings.Contains(out, "gap     450 removals  could not be recorded (oom), by ") {
			t.Errorf("a table:\n%s", out)
		}
	})
	t.Run("without the right", func(t *testing.T) {
		old := program.Env{"HISTORY_LENGTH": "0"}
		words, _ := aclRule(t, old)
		keeperUnder(t, s, words)
		under := program.Env{"REDIS_URL": "redis://keeper:secret@" + s.Addr, "CLEANUP_BRAKE": "1"}
		if errs := expires(t, under, "0"); strings.Count(errs, "history not recorded") != 1 || !strings.Contains(errs, "auth") {
			t.Errorf("the log says\n%s", errs)
		}
	})
	t.Run("switched off", func(t *testing.T) {
		before := historyOf(t, env).Recorded
		off := program.Env{"REDIS_URL": s.URL(), "CLEANUP_BRAKE": "1", "HISTORY_LENGTH": "0"}
		staleSessions(t, s, 3)
		off.MustRun(t, "once", "cleanup")
		if after := historyOf(t, off).Recorded; after != before {
			t.Errorf("%d entries, %d before", after, before)
		}
	})
}

// metricIn is the value of a metric without labels in a file.
func metricIn(t *testing.T, path, name string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	mustDo(t, err)
	_, after, _ := strings.Cut("\n"+string(text), "\n"+name+" ")
	value, _, _ := strings.Cut(after, "\n")
	return value
}
