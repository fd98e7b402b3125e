package buffer

import (
	"slices"
	"strings"
	"testing"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestTheRuleNamesJustTheKeysInUse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		uses Uses
		want string
	}{
		{"trimming only", Uses{Job: true, Trim: true, Names: DefaultNames}, "~streams ~stream:* ~streamkeeper:pauses ~streamkeeper:policy"},
		{"inspecting the object layout", Uses{Job: true, Inspect: true, Layouts: []registry.Layout{registry.Object}, Names: DefaultNames}, "~streams ~stream:* ~sessions ~streamkeeper:pauses"},
		{"cleaning up the keys layout", Uses{Job: true, Cleanup: true, Layouts: []registry.Layout{registry.Keys}, Names: DefaultNames},
			"~streams ~stream:* ~sessions:* ~streamkeeper:pauses ~streamkeeper:groups ~streamkeeper:retired ~streamkeeper:sighted ~streamkeeper:relisted ~streamkeeper:left ~streamkeeper:brake ~streamkeeper:undo:* ~streamkeeper:undone:*"},
		{"a follower without jobs", Uses{Serve: true, Lease: true, Names: DefaultNames}, "~streams ~stream:* ~streamkeeper:pauses ~streamkeeper:retired ~streamkeeper:lease ~streamkeeper:instances"},
		{"names with glob characters", Uses{Job: true, Inspect: true, Names: Names{Streams: "s*[x]?", StreamPrefix: `a\b:`, Sessions: "s^", StatePrefix: "k:"}},
			`~s\*\[x\]\? ~a\\b:* ~s^ ~s^:* ~k:pauses`},
		{"names that no rule can hold", Uses{Job: true, Inspect: true, Layouts: []registry.Layout{registry.Object}, Names: Names{Streams: "my streams", StreamPrefix: "é\x00\xff", Sessions: "'s\"", StatePrefix: "k:"}},
			"~my?streams ~é??* ~?s? ~k:pauses"},
	} {
		t.Run(c.name, func(t *testing.T) {
			words, remarks := c.uses.Rule()
			var keys []string
			for _, word := range words {
				if strings.HasPrefix(word, "~") {
					keys = append(keys, word)
				}
				if strings.ContainsAny(word, " \t\r\n") {
					t.Errorf("%q is no word", word)
				}
			}
			if got := strings.Join(keys, " "); got != c.want {
				t.Errorf("the keys are %s", got)
			}
			inexact := slices.ContainsFunc(remarks, func(r string) bool { return strings.Contains(r, "no ACL rule can hold") })
			if inexact != strings.Contains(c.name, "no rule") {
				t.Errorf("the remarks are %q", remarks)
			}
		})
	}
}

func TestInfoIsForTheDaemonForPressureAndForCleanup(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		uses Uses
		want bool
	}{
		{"trimming", Uses{Job: true, Trim: true}, false},
		{"trimming under pressure", Uses{Job: true, Trim: true, Pressure: true}, true},
		{"pressure without trimming", Uses{Job: true, Inspect: true, Pressure: true}, false},
		{"clean-up of a Hash", Uses{Job: true, Cleanup: true}, true},
		{"clean-up of keys alone", Uses{Job: true, Cleanup: true, Layouts: []registry.Layout{registry.Keys}}, false},
		{"clean-up of keys, with copies", Uses{Job: true, Cleanup: true, Undo: true, Layouts: []registry.Layout{registry.Keys}}, true},
		{"marking sessions in keys", Uses{Job: true, Cleanup: true, Abandon: true, Layouts: []registry.Layout{registry.Keys}}, true},
		{"the daemon", Uses{Serve: true}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			words, remarks := c.uses.Rule()
			if got := slices.Contains(words, "+info"); got != c.want {
				t.Errorf("+info is in the rule: %t, want %t", got, c.want)
			}
			said := slices.ContainsFunc(remarks, func(r string) bool { return strings.Contains(r, "TRIM_PRESSURE") })
			if said != (c.uses.Trim && c.uses.Pressure) {
				t.Errorf("the remarks are %q", remarks)
			}
		})
	}
}

func TestTheRuleFitsOddNames(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	names := Names{Streams: `my "streams" [1]`, StreamPrefix: "x*\xff:", Sessions: `s\?`, StatePrefix: "é k:"}
	words, _ := Uses{Job: true, Trim: true, Cleanup: true, Inspect: true, Serve: true, Names: names}.Rule()
	args := []any{"ACL", "SETUSER", "keeper", "on", ">secret"}
	for _, word := range words {
		args = append(args, word)
	}
	if err := s.Client.Do(ctx, args...).Err(); err != nil {
		t.Fatal(err)
	}
	s.Client.SAdd(ctx, names.Streams, "a")
	s.Client.HSet(ctx, names.Sessions+":b", "streamName", "a", "lastUpdated", 1)
	b := openAs(t, redisconn.Connection{URL: s.URL(), Username: "keeper", Password: "secret"}, func(o *Options) { o.Names = names })
	if got := streamNames(t, b); !slices.Equal(got, []string{"a"}) {
		t.Errorf("the names are %q", got)
	}
	if got := sessionNames(t, b); !slices.Equal(got, []string{"b"}) {
		t.Errorf("the sessions are %q", got)
	}
	if _, err := b.Lengths(ctx, []string{"a"}); err != nil {
		t.Error(err)
	}
	if err := b.Restore(ctx, "c"); err != nil {
		t.Error(err)
	}
	// Nothing beyond: neither other keys nor what begins alike.
	for _, key := range []string{"xy\xff:a", "s", "lastStreamSessionId"} {
		if _, err := b.rdb.XLen(ctx, key).Result(); redisconn.ClassOf(err) != redisconn.ClassAuth {
			t.Errorf("the key %q: %v", key, err)
		}
	}
}
