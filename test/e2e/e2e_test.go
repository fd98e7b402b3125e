package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
	"github.com/streamkeeper/streamkeeper/report"
)

func TestMain(m *testing.M) { program.Main(m) }

type planJSON struct {
	Redis   report.Redis    `json:"redis"`
	Summary report.Summary  `json:"summary"`
	Actions []report.Action `json:"actions"`
}

type onceJSON struct {
	Redis  report.Redis     `json:"redis"`
	DryRun bool             `json:"dry_run"`
	Jobs   []map[string]any `json:"jobs"`
}

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// lines are the actions in a form that is easy to compare.
func (p planJSON) lines() []string {
	var lines []string
	for _, a := range p.Actions {
		line := a.Action + " " + a.Stream
		if a.Session != nil {
			line += " / " + *a.Session
		}
		if a.Entries > 0 {
			line += fmt.Sprintf(" %d", a.Entries)
		}
		lines = append(lines, line+": "+a.Reason)
	}
	slices.Sort(lines)
	return lines
}

var readOnlyCommands = []string{
	"hello", "time", "sscan", "hscan", "scan", "zscan", "xlen", "evalsha_ro", "eval_ro", "hmget", "exists", "zmscore", "mget", "scard", "hgetall",
	"smismember", "config|get", "type", "xinfo|stream", "xinfo|groups", "xrange", "xrevrange", "memory|usage", "ping", "config|resetstat", "info", "keys", "hkeys", "smembers",
}

func TestPlanSaysAndOnceDoesExactlyWhatIsRight(t *testing.T) {
	t.Parallel()
	for _, layout := range allLayouts() {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			w := startFixture(t, layout)
			plan := decode[planJSON](t, w.env.MustRun(t, "plan", "-o", "json"))
			want := []string{
				"expire busy / stale-2: not updated for 25h (limit 24h)",
				`expire dead / stale \xfe: not updated for 26h (limit 24h)`,
				"retire dead: no session, last entry 2d 2h ago (limit 24h), after the expiry of its last session",
				`retire orphan\xff: no session, last entry 30h ago (limit 24h)`,
				"trim aged 500: oldest entry 9h 59m old (limit 1h)",
				"trim busy 1500: 2 500 entries (limit 1 000)",
				"trim exact: one 777: 1 777 entries (limit 1 000)",
			}
			if got := plan.lines(); !slices.Equal(got, want) {
				t.Errorf("the plan is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if s := plan.Summary; s.Streams != 9 || s.Sessions == nil || *s.Sessions != 5 || s.TrimStreams != 3 || s.TrimEntries != 2777 || s.ExpireSessions != 2 || s.RetireStreams != 2 || s.DropNames != 0 || s.Brake != "" {
				t.Errorf("the summary is %+v", s)
			}
			calls, err := w.server.CommandCalls(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for name := range calls {
				if !slices.Contains(readOnlyCommands, name) {
					t.Errorf("the plan called %s", name)
				}
			}

			once := decode[onceJSON](t, w.env.MustRun(t, "once", "trim", "cleanup", "-o", "json"))
			if freed, _ := once.Jobs[0]["bytes_removed"].(float64); freed != float64(plan.Summary.TrimBytes) || freed == 0 {
				t.Errorf("once freed %.0f bytes, planned were %d", freed, plan.Summary.TrimBytes)
			}
			if once.DryRun || once.Redis.Mode != "standalone" || once.Jobs[0]["entries_removed"] != 2777.0 || once.Jobs[1]["sessions_malformed"] != 1.0 {
				t.Errorf("once says %+v", once)
			}
			w.left(t, "busy", 1000)
			w.left(t, "exact: one", 1000)
			w.left(t, "short*", 990)
			w.left(t, "aged", 100)
			w.left(t, "idle", 10)
			if got, want := w.names(t), []string{"aged", "busy", "exact: one", "idle", "missing", "short*", "text"}; !slices.Equal(got, want) {
				t.Errorf("the names are %q, want %q", got, want)
			}
			if n := w.client.Exists(t.Context(), "stream:dead", "stream:orphan\xff").Val(); n != 0 {
				t.Errorf("%d dead streams still have a key", n)
			}
			if got, want := w.sessions(t), []string{"live-2", "live: 1", "odd"}; !slices.Equal(got, want) {
				t.Errorf("the sessions are %q, want %q", got, want)
			}
			if got := w.client.Get(t.Context(), "lastStreamSessionId").Val(); got != "42" {
				t.Errorf("lastStreamSessionId is %s", got)
			}

			if again := decode[planJSON](t, w.env.MustRun(t, "plan", "-o", "json")); len(again.Actions) != 0 {
				t.Errorf("there is still to do: %v", again.lines())
			}
			second := decode[onceJSON](t, w.env.MustRun(t, "once", "trim", "cleanup", "-o", "json"))
			for _, job := range second.Jobs {
				for _, count := range []string{"entries_removed", "sessions_expired", "streams_retired", "names_dropped", "streams_restored", "errors"} {
					if n, ok := job[count].(float64); ok && n != 0 {
						t.Errorf("the second run: %s of %s is %v", count, job["job"], n)
					}
				}
			}
		})
	}
}

func TestOnceDoesItsWorkWhenRedisIsOutOfMemory(t *testing.T) {
	t.Parallel()
	for _, layout := range allLayouts() {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			w := startFixture(t, layout)
			ctx := t.Context()
			if err := w.client.ConfigSet(ctx, "maxmemory", "100kb").Err(); err != nil {
				t.Fatal(err)
			}
			if err := w.client.Set(ctx, "x", "y", 0).Err(); err == nil {
				t.Fatal("Redis is not out of memory")
			}
			w.env.MustRun(t, "once", "trim", "cleanup")
			w.left(t, "busy", 1000)
			w.left(t, "aged", 100)
			if got, want := w.sessions(t), []string{"live-2", "live: 1", "odd"}; !slices.Equal(got, want) {
				t.Errorf("the sessions are %q, want %q", got, want)
			}
			// What could not be remembered stays listed, for a later run.
			if got, want := w.names(t), []string{"aged", "busy", "dead", "exact: one", "idle", "missing", "orphan\xff", "short*", "text"}; !slices.Equal(got, want) {
				t.Errorf("the names are %q, want %q", got, want)
			}
			if n := w.client.Exists(ctx, "stream:dead", "stream:orphan\xff").Val(); n != 0 {
				t.Errorf("%d dead streams still have a key", n)
			}
			w.client.ConfigSet(ctx, "maxmemory", "0")
			w.env.MustRun(t, "once", "cleanup")
			day := float64(w.now.Add(-25 * time.Hour).UnixMilli())
			for _, name := range []string{"dead", "orphan\xff"} {
				w.client.ZAdd(ctx, "streamkeeper:sighted", redis.Z{Score: day, Member: name})
			}
			w.env.MustRun(t, "once", "cleanup")
			if got, want := w.names(t), []string{"aged", "busy", "exact: one", "idle", "missing", "short*", "text"}; !slices.Equal(got, want) {
				t.Errorf("a day later the names are %q, want %q", got, want)
			}
		})
	}
}

func TestDryRunDecidesAndChangesNothing(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	before := dump(t, w.client)
	out := decode[onceJSON](t, w.env.MustRun(t, "once", "--dry-run", "-o", "json", "trim", "cleanup"))
	if !out.DryRun || out.Jobs[0]["entries_removed"] != 2777.0 || out.Jobs[1]["sessions_expired"] != 2.0 || out.Jobs[1]["streams_retired"] != 2.0 {
		t.Errorf("the dry run says %+v", out)
	}
	if after := dump(t, w.client); after != before {
		t.Error("the dry run changed something")
	}
}

// dump is everything in Redis; the order within a set or a hash is not.
func dump(t *testing.T, client redis.UniversalClient) string {
	t.Helper()
	ctx := t.Context()
	keys := client.Keys(ctx, "*").Val()
	slices.Sort(keys)
	var b strings.Builder
	for _, key := range keys {
		switch kind := client.Type(ctx, key).Val(); kind {
		case "set":
			members := client.SMembers(ctx, key).Val()
			slices.Sort(members)
			fmt.Fprintf(&b, "%q %q\n", key, members)
		case "hash":
			// Printed in the order of the fields.
			fmt.Fprintf(&b, "%q %q\n", key, client.HGetAll(ctx, key).Val())
		default:
			fmt.Fprintf(&b, "%q %q\n", key, client.Dump(ctx, key).Val())
		}
	}
	return b.String()
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	env := program.Env{}
	env["REDIS_URL"] = s.URL()
	for _, c := range []struct {
		name string
		args []string
		env  map[string]string
		want int
		says string
	}{
		{"nothing wrong", []string{"once", "trim"}, nil, cli.ExitOK, ""},
		{"help", []string{"--help"}, nil, cli.ExitOK, ""},
		{"help for a command", []string{"once", "--help"}, nil, cli.ExitOK, ""},
		{"no such command", []string{"trim"}, nil, cli.ExitUsage, "unknown command"},
		{"no such flag", []string{"once", "--frce"}, nil, cli.ExitUsage, "--frce"},
		{"no such job", []string{"once", "prune"}, nil, cli.ExitUsage, `unknown job "prune"`},
		{"no such format", []string{"plan", "-o", "yaml"}, nil, cli.ExitUsage, "table or json"},
		{"an argument too many", []string{"config", "x"}, nil, cli.ExitUsage, "x"},
		{"a bad setting", []string{"config"}, map[string]string{"TRIM_MAX_LENGTH": "lots"}, cli.ExitUsage, `STREAMKEEPER_TRIM_MAX_LENGTH="lots"`},
		{"an unknown setting", []string{"once"}, map[string]string{"TRIM_MAX_LENGHT": "1000"}, cli.ExitUsage, "STREAMKEEPER_TRIM_MAX_LENGTH"},
		{"two faults at once", []string{"once"}, map[string]string{"TRIM_MAX_AGE": "x", "LISTEN": "y"}, cli.ExitUsage, "STREAMKEEPER_LISTEN"},
		{"no Redis", []string{"once", "--redis-url", "redis://127.0.0.1:1"}, nil, cli.ExitFailure, "127.0.0.1:1"},
		{"plan without Redis", []string{"plan", "--redis-url", "redis://127.0.0.1:1"}, nil, cli.ExitFailure, "127.0.0.1:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := maps.Clone(env)
			maps.Copy(env, c.env)
			started := time.Now()
			code, out, errs := env.Run(t, c.args...)
			if code != c.want {
				t.Errorf("exit %d, want %d\n%s%s", code, c.want, out, errs)
			}
			if !strings.Contains(errs, c.says) {
				t.Errorf("stderr does not say %q:\n%s", c.says, errs)
			}
			if c.want != cli.ExitOK && out != "" {
				t.Errorf("stdout says %s", out)
			}
			if took := time.Since(started); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func TestTheGuardStopsOnceWithItsOwnExitCode(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	for i := range 30 {
		w.session(t, "object", fmt.Sprintf("old-%d", i), "nowhere", 40*time.Hour)
	}
	code, out, _ := w.env.Run(t, "once", "cleanup")
	if code != cli.ExitBrake || !strings.Contains(out, "32 of 35 sessions would expire") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if n := len(w.sessions(t)); n != 35 {
		t.Errorf("%d sessions are left", n)
	}
	plan := w.env.MustRun(t, "plan")
	if !strings.Contains(plan, "streamkeeper once --force cleanup") {
		t.Errorf("the plan does not say how to force it:\n%s", plan)
	}
	w.env.MustRun(t, "once", "--force", "cleanup")
	if n := len(w.sessions(t)); n != 3 {
		t.Errorf("%d sessions are left", n)
	}
}
