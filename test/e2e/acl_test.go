package e2e

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// aclRule is what the command prints.
func aclRule(t *testing.T, env program.Env, flags ...string) (words []string, remarks string) {
	t.Helper()
	code, out, errs := env.Run(t, append([]string{"acl"}, flags...)...)
	if code != cli.ExitOK || strings.Count(out, "\n") != 1 {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	return strings.Fields(out), errs
}

// everyNeed adds to a fixture what makes each command necessary.
func (f *fixture) everyNeed(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	day := float64(f.now.Add(-25 * time.Hour).UnixMilli())
	pipe := f.client.Pipeline()
	// A retired stream that came back, names that had no entry a day ago and
	// then or still, and a stream that nobody lists.
	pipe.ZAdd(ctx, "streamkeeper:retired", redis.Z{Score: day, Member: "returned"})
	pipe.XAdd(ctx, &redis.XAddArgs{Stream: "stream:returned", Values: []any{"id", 1}})
	pipe.XAdd(ctx, &redis.XAddArgs{Stream: "stream:unlisted", Values: []any{"id", 1}})
	pipe.ZAdd(ctx, "streamkeeper:sighted", redis.Z{Score: day, Member: "missing"}, redis.Z{Score: day, Member: "busy"})
	// Ids that are no times, and consumer groups.
	pipe.SAdd(ctx, "streams", "aged counters")
	pipe.XAdd(ctx, &redis.XAddArgs{Stream: "stream:aged counters", ID: "5-1", Values: []any{"id", 1}})
	for _, group := range []string{"storage", "deserted"} {
		pipe.XGroupCreate(ctx, "stream:busy", group, "0")
	}
	// What it reads is of no use here, and much to send.
	pipe.Eval(ctx, `redis.call('XREADGROUP', 'GROUP', 'storage', 'c', 'COUNT', ARGV[1], 'STREAMS', KEYS[1], '>') return 0`, []string{"stream:busy"}, f.streams["busy"].n-100)
	// Sessions that are to be marked as abandoned, and what their stream holds.
	data, err := burst.PackSessionJSON(burst.Frame, []byte(`{"identity":"quiet","state":"open"}`))
	mustDo(t, err)
	pipe.XAdd(ctx, &redis.XAddArgs{Stream: "stream:quiet", ID: fmt.Sprintf("%d-1", f.now.Add(-3*time.Hour).UnixMilli()), Values: []any{"id", 9, "data", data}})
	for _, layout := range allLayouts() {
		f.session(t, layout, "quiet "+layout, "quiet", 2*time.Hour)
		f.describe(t, layout, "quiet "+layout, `{"identity":"quiet","state":"open"}`)
	}
	// An object session whose identity ends like a property of another.
	f.session(t, "object", "other:json", "dead", 26*time.Hour)
	// A text where a session would lie.
	pipe.Set(ctx, "sessions:text", `{"streamName":"busy"}`, 0)
	// Sessions whose first property comes late.
	pipe.HSet(ctx, "sessions", "late:tStart", "1", "late:streamSessionId", "7")
	_, err = pipe.Exec(ctx)
	mustDo(t, err)
}

// fewEntries is for a test that fills Redis for each word of a rule.
func (f *fixture) fewEntries() {
	f.few, f.env["TRIM_MAX_LENGTH"] = true, "200"
}

// describe gives a session of a fixture another Session JSON.
func (f *fixture) describe(t *testing.T, layout, identity, sessionJSON string) {
	t.Helper()
	ctx := t.Context()
	switch key := registry.Layout(layout).KeyOf("sessions", identity); layout {
	case "object":
		value := f.client.HGet(ctx, key, identity).Val()
		mustDo(t, f.client.HSet(ctx, key, identity, strings.Replace(value, `{"identity":"x"}`, sessionJSON, 1)).Err())
	case "fields":
		mustDo(t, f.client.HSet(ctx, key, identity+":json", sessionJSON).Err())
	default:
		mustDo(t, f.client.HSet(ctx, key, "json", sessionJSON).Err())
	}
}

// serve runs the daemon for a while, and asks it for its metrics.
func serve(t *testing.T, env program.Env, d time.Duration) {
	t.Helper()
	serveUntil(t, env, d, func(context.Context) bool { return false })
}

// serveUntil runs the daemon for at most a while, and asks it for its metrics.
func serveUntil(t *testing.T, env program.Env, most time.Duration, enough func(context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	address := program.FreeAddress(t)
	go func() {
		for ctx.Err() == nil {
			if answer, err := http.Get("http://" + address + "/metrics"); err == nil {
				_ = answer.Body.Close()
			}
			if enough(ctx) {
				cancel()
			}
			time.Sleep(300 * time.Millisecond)
		}
	}()
	if _, err := env.Serve(ctx, t, program.Path(t), address); err != nil {
		t.Logf("the daemon: %v", err)
	}
}

// keeperUnder makes a user with a rule, and clears what was denied before.
func keeperUnder(t *testing.T, s *redistest.Server, words []string) {
	t.Helper()
	args := []any{"ACL", "SETUSER", "keeper", "reset", "on", ">secret"}
	for _, word := range words {
		args = append(args, word)
	}
	mustDo(t, s.Client.Do(t.Context(), args...).Err())
	mustDo(t, s.Client.Do(t.Context(), "ACL", "LOG", "RESET").Err())
	mustDo(t, s.Client.ScriptFlush(t.Context()).Err())
}

// denied is what was denied.
func denied(t *testing.T, s *redistest.Server) []string {
	t.Helper()
	entries, err := s.Client.ACLLog(t.Context(), 100).Result()
	mustDo(t, err)
	var all []string
	for _, e := range entries {
		all = append(all, fmt.Sprintf("%s %s (%s)", e.Reason, e.Object, e.Context))
	}
	return all
}

// aclSettings make the jobs use all that they can.
func aclSettings(env program.Env, layout string) {
	maps.Copy(env, map[string]string{
		"SESSIONS_LAYOUT": layout, "CLEANUP_ABANDON_AFTER": "1h", "CLEANUP_SCAN": "true", "TRIM_RESPECT_GROUPS": "true", "LEASE_TTL": "1s", "LISTEN": "127.0.0.1:0",
		"METRICS_INTERVAL": "1s", "TRIM_SCHEDULE": "@every 1s", "CLEANUP_SCHEDULE": "@every 1s", "INSPECT_SCHEDULE": "@every 1s",
		"TRIM_POLICIES": `aged*: max_age=1h; "exact: one": exact=true`,
	})
}

func TestEverythingPassesUnderTheRuleThatACLPrints(t *testing.T) {
	t.Parallel()
	for _, layout := range []string{"auto", "keys", "object", "fields", "object,fields"} {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			r := newFixture(s.Client, "redis://keeper:secret@"+s.Addr)
			aclSettings(r.env, layout)
			layouts := strings.Split(strings.Replace(layout, "auto", "object,fields,keys", 1), ",")
			words, _ := aclRule(t, r.env)
			keeperUnder(t, s, words)
			r.fill(t, layouts...)
			r.everyNeed(t)
			r.env.MustRun(t, "plan")
			if code, _, errs := r.env.Run(t, "inspect"); code != cli.ExitInvalid {
				t.Errorf("inspect: exit %d\n%s", code, errs)
			}
			r.env.MustRun(t, "once")
			r.keeps(t, layouts...)
			r.env.MustRun(t, "undo", "--since", "1h", "--dry-run")
			r.env.MustRun(t, "undo", "--since", "1h")
			r.fill(t, layouts...)
			r.everyNeed(t)
			serve(t, r.env, 3*time.Second)
			if got := denied(t, s); len(got) > 0 {
				t.Errorf("denied: %q", got)
			}
			if got := r.sessions(t); len(got) > 3*len(layouts)+2+len(allLayouts())+1 {
				t.Errorf("the daemon left the sessions %q", got)
			}
		})
	}
}

// daemonOnly are the words that only the daemon needs.
var daemonOnly = []string{"+ping", "+info", "+set", "+get", "+pttl", "+del", "~streamkeeper:lease", "~streamkeeper:instances"}

// clusterOnly are the words that only a cluster needs; its test tries them.
var clusterOnly = []string{"+cluster|slots", "+asking"}

// forNaming are the words that only name what is missing, when something is.
var forNaming = []string{"+multi", "+discard"}

func TestNoWordOfTheRuleCanBeSpared(t *testing.T) {
	t.Parallel()
	for _, layout := range []string{"auto", "keys", "object", "fields"} {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			r := newFixture(s.Client, "redis://keeper:secret@"+s.Addr)
			aclSettings(r.env, layout)
			r.fewEntries()
			words, _ := aclRule(t, r.env)
			for i, word := range words {
				t.Run("without "+word, func(t *testing.T) {
					r.isNeeded(t, s, layout, word, slices.Delete(slices.Clone(words), i, i+1))
				})
			}
		})
	}
}

func TestNoWordOfTheReadOnlyRuleCanBeSpared(t *testing.T) {
	t.Parallel()
	empty := redistest.Start(t)
	for _, layout := range []string{"auto", "keys", "object", "fields"} {
		t.Run(layout, func(t *testing.T) {
			s := redistest.Start(t)
			r := newFixture(s.Client, "redis://keeper:secret@"+s.Addr)
			aclSettings(r.env, layout)
			r.fewEntries()
			layouts := strings.Split(strings.Replace(layout, "auto", "object,fields,keys", 1), ",")
			r.fill(t, layouts...)
			r.everyNeed(t)
			words, _ := aclRule(t, r.env, "--read-only")
			full, _ := aclRule(t, r.env)
			for i, word := range words {
				if slices.Contains(clusterOnly, word) || slices.Contains(forNaming, word) || word == "+hexists" {
					continue // nor are there a million sessions
				}
				t.Run("without "+word, func(t *testing.T) {
					keeperUnder(t, s, slices.Delete(slices.Clone(words), i, i+1))
					// Its rights are asked for in a transaction, where nothing runs.
					needed := func(s *redistest.Server) bool {
						return slices.ContainsFunc(denied(t, s), func(what string) bool {
							return !strings.HasSuffix(what, "(multi)") && !strings.Contains(what, "client|no-touch")
						})
					}
					_, out, _ := r.env.Run(t, "doctor")
					unknown := strings.Contains(out, "Grant the Redis user")
					if !strings.Contains(out, word) && slices.Contains(full, word) {
						t.Errorf("doctor does not name it:\n%s", out)
					}
					for _, command := range []string{"plan", "inspect", "inspect busy", "undo --since 1h --dry-run", "explain busy --at 14:05"} {
						if !unknown && !needed(s) {
							r.env.Run(t, strings.Fields(command)...)
						}
					}
					if unknown || needed(s) {
						return
					}
					// Where there is nothing, our own keys are counted.
					keeperUnder(t, empty, slices.Delete(slices.Clone(words), i, i+1))
					r.env.Run(t, "doctor", "--redis-url", "redis://keeper:secret@"+empty.Addr)
					if !needed(empty) {
						t.Errorf("nothing is denied")
					}
				})
			}
		})
	}
}

// isNeeded checks that something is denied where a word is missing in the rule.
func (f *fixture) isNeeded(t *testing.T, s *redistest.Server, layout, word string, others []string) {
	t.Helper()
	if slices.Contains(clusterOnly, word) || slices.Contains(forNaming, word) {
		t.Skip("a single server does not need it, or only where another is missing")
	}
	if word == "+xdel" && layout == "keys" {
		t.Skip("only a gap in the history that grows needs it")
	}
	if word == "+hdel" && layout == "keys" {
		t.Skip("only what the daemon notes of itself needs it, as in all layouts")
	}
	layouts := strings.Split(strings.Replace(layout, "auto", "object,fields,keys", 1), ",")
	keeperUnder(t, s, others)
	f.fill(t, layouts...)
	f.everyNeed(t)
	switch {
	case !slices.Contains(daemonOnly, word):
		f.env.Run(t, "once")
		if len(denied(t, s)) == 0 {
			f.env.Run(t, "undo", "--since", "1h")
		}
	case layout == "auto":
		serveUntil(t, f.env, 15*time.Second, func(ctx context.Context) bool {
			entries, err := s.Client.ACLLog(ctx, 10).Result()
			return err == nil && slices.ContainsFunc(entries, func(e *redis.ACLLogEntry) bool { return e.Object != "client|no-touch" })
		})
	default:
		t.Skip("the daemon needs the same in all layouts")
	}
	if got := denied(t, s); len(got) == 0 {
		f.env.Run(t, "plan")
		f.env.Run(t, "inspect")
	}
	if got := denied(t, s); len(got) == 0 {
		t.Errorf("nothing is denied")
	}
}
