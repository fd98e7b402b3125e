package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

type undoJSON struct {
	DryRun  bool `json:"dry_run"`
	Summary map[string]int64
	All     []struct {
		Session, Layout, Stream, Result, Error string
		Expired                                time.Time
		TTL                                    float64 `json:"ttl_seconds"`
	} `json:"sessions"`
}

// undo runs the command, and reads what it prints.
func undo(t *testing.T, env program.Env, args ...string) (code int, u undoJSON, errs string) {
	t.Helper()
	code, out, errs := env.Run(t, append([]string{"undo", "-o", "json"}, args...)...)
	if code != cli.ExitUsage {
		mustDo(t, json.Unmarshal([]byte(out), &u))
	}
	return code, u, errs
}

// staleIn writes sessions of a layout that are to expire.
func staleIn(t *testing.T, client redis.UniversalClient, layout registry.Layout, identities ...string) {
	t.Helper()
	at := time.Now().Add(-26 * time.Hour).UnixMilli()
	for _, identity := range identities {
		mustDo(t, registry.Produce(t.Context(), client, layout, "sessions", identity, "streamSessionId", 7, "streamName", "s", "lastUpdated", at))
	}
}

func TestAnOperatorPutsSessionsBack(t *testing.T) {
	t.Parallel()
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			operate(t, s.Client, program.Env{"REDIS_URL": s.URL(), "CLEANUP_BRAKE": "1"}, layout)
		})
	}
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		c := redistest.StartCluster(t, 3, false)
		operate(t, c.Client, program.Env{"REDIS_URL": c.URL(), "CLEANUP_BRAKE": "1"}, registry.Keys)
	})
}

func operate(t *testing.T, client redis.UniversalClient, env program.Env, layout registry.Layout) {
	odd := "car\x01 \xff"
	staleIn(t, client, layout, "a", "b", "c", odd)
	if code, u, _ := undo(t, env, "--since", "1h"); code != cli.ExitOK || len(u.All) != 0 {
		t.Errorf("before anything expired: exit %d, %+v", code, u)
	}
	env.MustRun(t, "once", "cleanup")
	if code, u, _ := undo(t, env, "--since", "1h", "--dry-run"); code != cli.ExitOK || !u.DryRun || u.Summary["put_back"] != 4 || len(u.All) != 4 {
		t.Errorf("a dry run: exit %d, %+v", code, u)
	}
	program.Eventually(t, 10*time.Second, "it is explained that it expired", func() bool {
		out := env.MustRun(t, "explain", `car\x01 \xff`)
		return strings.Contains(out, "it is gone") && strings.Contains(out, "can put it back until ")
	})
	// One by its name, as tables write it.
	code, u, errs := undo(t, env, `car\x01 \xff`)
	if code != cli.ExitOK || len(u.All) != 1 || u.All[0].Result != "put back" || u.All[0].Stream != "s" || u.All[0].Layout != string(layout) ||
		time.Since(u.All[0].Expired) > time.Minute {
		t.Errorf("exit %d, %+v\n%s", code, u, errs)
	}
	program.Eventually(t, 10*time.Second, "it is explained that it was put back", func() bool {
		out := env.MustRun(t, "explain", `car\x01 \xff`)
		return strings.Contains(out, "restore: session put back by undo") && strings.Contains(out, "in the layout "+string(layout)) && !strings.Contains(out, "stream car")
	})
	// One that its producer has written again.
	staleIn(t, client, layout, "b")
	if code, u, errs := undo(t, env, "b"); code != cli.ExitFailure || u.Summary["exists"] != 1 || !strings.Contains(errs, "exists again") {
		t.Errorf("written since: exit %d, %+v\n%s", code, u, errs)
	}
	// A name that nobody knows, beside one that comes back.
	if code, u, errs := undo(t, env, "A1", "a"); code != cli.ExitFailure || u.Summary["put_back"] != 1 || u.Summary["no_copy"] != 1 || !strings.Contains(errs, "there is no session") {
		t.Errorf("unknown: exit %d, %+v\n%s", code, u, errs)
	}
	if code, u, errs := undo(t, env, "--since", "1h"); code != cli.ExitOK || u.Summary["put_back"] != 1 || u.Summary["exists"] != 1 {
		t.Errorf("all: exit %d, %+v\n%s", code, u, errs)
	}
	// What was put back stays, what was written is as it is judged.
	if out := env.MustRun(t, "once", "cleanup"); !strings.Contains(out, "1 of 4 sessions expired") {
		t.Errorf("the next run: %s", out)
	}
	if code, u, _ := undo(t, env, "--drop", "a", "b"); code != cli.ExitOK || u.Summary["dropped"] != 2 {
		t.Errorf("drop: exit %d, %+v", code, u)
	}
	if code, _, errs := undo(t, env, "b"); code != cli.ExitFailure || !strings.Contains(errs, "expired at") {
		t.Errorf("of one without a copy: exit %d\n%s", code, errs)
	}
	if out := env.MustRun(t, "once", "cleanup"); !strings.Contains(out, "1 of 3 sessions expired") {
		t.Errorf("after the drop: %s", out)
	}
	var restored []string
	for _, r := range historyOf(t, env, "--action", "restore").Removals {
		restored = append(restored, r.Name)
	}
	slices.Sort(restored)
	if want := []string{"a", "c", `car\x01 \xff`}; !slices.Equal(restored, want) {
		t.Errorf("the history has the returns %q", restored)
	}
}

func TestUndoRefusesWrongUsage(t *testing.T) {
	t.Parallel()
	env := program.Env{"REDIS_URL": "redis://127.0.0.1:1"}
	for args, fault := range map[string]string{
		"":                  "no session is named",
		"a --since 1h":      "name none",
		"--drop --since 1h": "without --since",
		"--since soon":      "duration",
	} {
		if code, _, errs := undo(t, env, strings.Fields(args)...); code != cli.ExitUsage || !strings.Contains(errs, fault) {
			t.Errorf("%q: exit %d\n%s", args, code, errs)
		}
	}
}

// What is left to others, or of a layout that is not in use, is neither put back nor
// forgotten, and a dry run says that it is one.
func TestUndoKeepsToWhatIsOurs(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	env := program.Env{"REDIS_URL": s.URL(), "CLEANUP_BRAKE": "1"}
	staleIn(t, s.Client, registry.Object, "a")
	env.MustRun(t, "once", "cleanup")
	if code, out, _ := env.Run(t, "undo", "--drop", "--dry-run", "a"); code != cli.ExitOK || !strings.Contains(out, "To be forgotten: 1 session.") {
		t.Errorf("a dry run: exit %d\n%s", code, out)
	}
	others := program.Env{"REDIS_URL": s.URL(), "STREAMS_EXCLUDE": "s"}
	if code, u, errs := undo(t, others, "--drop", "a"); code != cli.ExitFailure || u.Summary["others"] != 1 || !strings.Contains(errs, "STREAMS_EXCLUDE") {
		t.Errorf("of others: exit %d, %+v\n%s", code, u, errs)
	}
	fields := program.Env{"REDIS_URL": s.URL(), "SESSIONS_LAYOUT": "fields"}
	if code, u, errs := undo(t, fields, "--since", "1h"); code != cli.ExitOK || len(u.All) != 0 {
		t.Errorf("of another layout: exit %d, %+v\n%s", code, u, errs)
	}
	if code, u, errs := undo(t, env, "a"); code != cli.ExitOK || u.Summary["put_back"] != 1 {
		t.Errorf("afterwards: exit %d, %+v\n%s", code, u, errs)
	}
}

// Redis's memory is nearly full: sessions go without a copy, and the history says so.
func TestTheHistorySaysWhatHasNoCopy(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	env := program.Env{"REDIS_URL": s.URL(), "CLEANUP_BRAKE": "1"}
	staleIn(t, s.Client, registry.Object, "a")
	for i := range 128 { // so that what connections take is little beside it
		mustDo(t, s.Client.Set(t.Context(), fmt.Sprint("filler ", i), strings.Repeat("x", 512<<10), 0).Err())
	}
	used, err := s.Client.InfoMap(t.Context(), "memory").Result()
	mustDo(t, err)
	var bytes int64
	_, _ = fmt.Sscan(used["Memory"]["used_memory"], &bytes)
	mustDo(t, s.Client.ConfigSet(t.Context(), "maxmemory", fmt.Sprint(bytes*100/95)).Err())
	env.MustRun(t, "once", "cleanup")
	all := historyOf(t, env, "a").Removals
	if len(all) != 1 || !strings.Contains(all[0].Reason, "no copy kept as Redis is above 90 % of maxmemory") {
		t.Errorf("%+v", all)
	}
	if code, _, errs := undo(t, env, "a"); code != cli.ExitFailure || !strings.Contains(errs, "no copy kept") {
		t.Errorf("exit %d\n%s", code, errs)
	}
}
