package e2e

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestAllRightsThatAreMissingAreNamedAtOnce(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	aclSettings(w.env, "object")
	words, _ := aclRule(t, w.env)
	denied := map[string]bool{"+xtrim": true, "+xinfo|stream": true, "+hscan": true, "+memory|usage": true, "~stream:*": true}
	var granted []string
	for _, word := range words {
		if !denied[word] {
			granted = append(granted, word)
		}
	}
	keeperUnder(t, w.server, granted)
	w.env["REDIS_URL"] = "redis://keeper:secret@" + w.server.Addr
	before := w.client.XLen(t.Context(), "stream:busy").Val()
	code, out, errs := w.env.Run(t, "once")
	said := out + errs
	if code != cli.ExitFailure {
		t.Errorf("exit %d", code)
	}
	for word := range denied {
		if !strings.Contains(errs, word) {
			t.Errorf("%s is not named:\n%s", word, said)
		}
	}
	if n := w.client.XLen(t.Context(), "stream:busy").Val(); n != before {
		t.Errorf("the stream has %d entries", n)
	}
	_, _, errs = w.env.Run(t, "plan")
	if !strings.Contains(errs, "In all, the Redis user lacks: ") || strings.Contains(errs, "+xtrim") || !strings.Contains(errs, "+hscan") {
		t.Errorf("plan, which does not trim:\n%s", errs)
	}
	delete(w.env, "LISTEN")
	d := program.Start(t, w.env["REDIS_URL"], w.env)
	program.Eventually(t, 20*time.Second, "health names them", func() bool {
		_, body := d.Get("/health")
		return strings.Contains(body, "The Redis user lacks rights: ") && strings.Contains(body, "+xinfo|stream") && strings.Contains(body, "~stream:*")
	})
	keeperUnder(t, w.server, words)
	program.Eventually(t, 20*time.Second, "health is well", func() bool {
		status, body := d.Get("/health")
		return status == 200 && !strings.Contains(body, "lacks rights")
	})
}

// A user that may only read is denied the lease, the note of this instance and the
// sign of life before any job begins.
func TestADaemonWithoutRightsNamesAllThatItNeedsAtOnce(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	aclSettings(w.env, "object")
	words, _ := aclRule(t, w.env)
	words = slices.DeleteFunc(words, func(word string) bool { return word == "+cluster|slots" || word == "+asking" })
	readOnly := strings.Fields(w.env.MustRun(t, "acl", "--read-only"))
	delete(w.env, "LISTEN")
	w.env["REDIS_URL"], w.env["LOG_FORMAT"] = "redis://keeper:secret@"+w.server.Addr, "text"
	for _, granted := range [][]string{readOnly, {"+multi", "+discard", "+type"}} {
		keeperUnder(t, w.server, granted)
		d := program.Start(t, w.env["REDIS_URL"], w.env)
		said := ""
		program.Eventually(t, 20*time.Second, "health names rights", func() bool {
			_, body := d.Get("/health")
			_, said, _ = strings.Cut(body, "The Redis user lacks rights: ")
			return said != ""
		})
		said, _, _ = strings.Cut(said, `."`)
		program.Eventually(t, 20*time.Second, "the log names what health does", func() bool {
			for line := range strings.Lines(d.Log.String()) {
				if strings.Contains(line, "rights missing") && strings.Contains(line, said) {
					return true
				}
			}
			return false
		})
		for _, word := range words {
			if !slices.Contains(granted, word) && !slices.Contains(strings.Fields(said), word) {
				t.Errorf("with %v, %s is not named: %s", granted, word, said)
			}
		}
		// What is named is all that it takes.
		keeperUnder(t, w.server, append(slices.Clone(granted), strings.Fields(said)...))
		program.Eventually(t, 20*time.Second, "health is well", func() bool {
			status, body := d.Get("/health")
			return status == 200 && !strings.Contains(body, "lacks rights") && d.Runs("trim") > 0 && d.Runs("cleanup") > 0
		})
		d.Stop()
		d.Ends(10 * time.Second)
	}
}

func TestTheReadOnlyRuleSufficesForWhatReadsAndHasNoWordThatWrites(t *testing.T) {
	t.Parallel()
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		s := start(t)
		r := newFixture(s.Client, s.URL())
		aclSettings(r.env, "auto")
		r.fill(t, "object", "keys")
		r.everyNeed(t)
		code, out, errs := r.env.Run(t, "acl", "--read-only")
		if code != cli.ExitOK {
			t.Fatalf("exit %d\n%s", code, errs)
		}
		words := strings.Fields(out)
		for _, word := range words {
			name, isCommand := strings.CutPrefix(word, "+")
			if !isCommand || name == "eval" || name == "evalsha" {
				continue
			}
			parent, _, _ := strings.Cut(name, "|")
			info := s.Client.Do(t.Context(), "COMMAND", "INFO", parent).String()
			if strings.Contains(info, " write") {
				t.Errorf("%s writes: %s", word, info)
			}
		}
		keeperUnder(t, s, words)
		env := program.Env{}
		maps.Copy(env, r.env)
		env["REDIS_URL"] = "redis://keeper:secret@" + s.Addr
		for _, args := range [][]string{{"plan"}, {"inspect"}, {"inspect", "busy"}, {"doctor"}, {"doctor", "--session", "quiet object"}, {"once", "--dry-run"}} {
			code, out, errs := env.Run(t, args...)
			if code != cli.ExitOK && code != cli.ExitInvalid {
				t.Errorf("%v: exit %d\n%s%s", args, code, out, errs)
			}
			if strings.Contains(out, "Grant the Redis user") {
				t.Errorf("%v:\n%s", args, out)
			}
		}
		for _, what := range denied(t, s) {
			// The doctor asks for what the jobs need, too, which never runs.
			if !strings.HasSuffix(what, "(multi)") && !strings.Contains(what, "client|no-touch") {
				t.Errorf("denied: %s", what)
			}
		}
		if code, _, _ := env.Run(t, "once", "trim"); code != cli.ExitFailure {
			t.Errorf("once trim ends with %d", code)
		}
	})
}
