package e2e

import (
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// cutFixture is an empty buffer over a connection that breaks when the server has
// carried out what is named for the nth time: a command, or a script with this text in
// it.
func cutFixture(t *testing.T, what string, nth int64) *fixture {
	t.Helper()
	s := redistest.Start(t)
	p := redistest.StartProxy(t, s.Addr)
	var sent atomic.Int64
	p.Set(func(command []string) redistest.Fault {
		if command[0] != what && (command[0] != "eval" || !strings.Contains(command[1], what)) {
			return redistest.Fault{}
		}
		return redistest.Fault{Lose: sent.Add(1) == nth}
	})
	w := newFixture(s.Client, p.URL())
	w.server = s
	w.env["CLEANUP_BRAKE"] = "1"
	return w
}

// A reply that is lost must not make of what streamkeeper removed what others did.
func TestATrimWithoutReplyIsAGapOfTheHistory(t *testing.T) {
	t.Parallel()
	w := cutFixture(t, "xtrim", 2)
	w.stream(t, "busy", 1500, 0, 10*time.Millisecond)
	w.env.MustRun(t, "once", "trim")
	at := w.now.Add(-8 * time.Second).UTC().Format("2006-01-02T15:04:05Z")
	w.env["TRIM_MAX_LENGTH"] = "100"
	code, out, errs := w.env.Run(t, "once", "trim", "-o", "json")
	if code != cli.ExitFailure || !strings.Contains(out, "may have gone, as no reply came") || w.client.XLen(t.Context(), "stream:busy").Val() > 200 {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if out := w.env.MustRun(t, "history", "--action", "gap"); !strings.Contains(out, "trims of streams may have been carried out (connection), by ") {
		t.Errorf("no gap:\n%s", out)
	}
	if out := w.env.MustRun(t, "explain", "busy", "--at", at); !strings.Contains(out, "not known: ") {
		t.Errorf("explain says\n%s", out)
	}
}

func TestACleanUpWithoutReplyIsAGapOfTheHistory(t *testing.T) {
	t.Parallel()
	for what, key := range map[string]string{"UNCOPIED": "sessions:old", "XINFO', 'STREAM', key)\n  for": "stream:dead"} {
		w := cutFixture(t, what, 1)
		w.stream(t, "dead", 10, 72*time.Hour, time.Second)
		if key == "sessions:old" {
			w.session(t, "keys", "old", "other", 48*time.Hour)
		}
		code, out, errs := w.env.Run(t, "once", "cleanup", "-o", "json")
		if code != cli.ExitFailure || !strings.Contains(out, "1 other removal may have been carried out") || !strings.Contains(out, `"sessions_expired": 0`) ||
			!strings.Contains(out, `"streams_retired": 0`) || w.client.Exists(t.Context(), key).Val() != 0 {
			t.Errorf("%s: exit %d\n%s%s", key, code, out, errs)
		}
		if out := w.env.MustRun(t, "history"); !strings.Contains(out, "1 removal  may have been carried out (connection), by ") {
			t.Errorf("%s: no gap:\n%s", key, out)
		}
		if key == "stream:dead" {
			// The note that goes before a retirement tells of it.
			if out := w.env.MustRun(t, "explain", "dead", "--at", time.Now().Add(-72*time.Hour).UTC().Format("2006-01-02T15:04:05Z")); !strings.Contains(out, "by which") || !strings.Contains(out, "is not in the record") {
				t.Errorf("explain says\n%s", out)
			}
		}
	}
}

// runKilledAt runs once, and kills it before a command or a script that works on such a
// key is carried out.
func runKilledAt(t *testing.T, w *fixture, key string, args ...string) {
	t.Helper()
	p := redistest.StartProxy(t, w.server.Addr)
	env := maps.Clone(w.env)
	env["REDIS_URL"] = p.URL()
	cmd := env.Command(t, append([]string{"once"}, args...)...)
	started := make(chan struct{})
	p.Set(func(command []string) redistest.Fault {
		at := slices.IndexFunc(command, func(word string) bool { return strings.HasPrefix(word, key) })
		if at < 0 || !strings.HasPrefix(command[0], "eval") || at != 3 {
			return redistest.Fault{}
		}
		<-started
		_ = cmd.Process.Kill()
		return redistest.Fault{Reset: true}
	})
	mustDo(t, cmd.Start())
	close(started)
	if err := cmd.Wait(); err == nil {
		t.Fatal("it was not killed")
	}
}

func TestARunThatIsKilledBeforeItsRecordIsAGapOfTheHistory(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	w := newFixture(s.Client, s.URL())
	w.server = s
	w.stream(t, "busy", 1500, 0, 10*time.Millisecond)
	w.env.MustRun(t, "once", "trim")
	if n := s.Client.Exists(t.Context(), "streamkeeper:trims:underway").Val(); n != 0 {
		t.Error("a run that has ended is under way")
	}
	at := w.now.Add(-8 * time.Second).UTC().Format("2006-01-02T15:04:05Z")
	w.env["TRIM_MAX_LENGTH"] = "100"
	runKilledAt(t, w, "streamkeeper:trims:2", "trim")
	if n := s.Client.XLen(t.Context(), "stream:busy").Val(); n > 200 {
		t.Fatalf("%d entries are left", n)
	}
	says := func() {
		t.Helper()
		if out := w.env.MustRun(t, "explain", "busy", "--at", at); !strings.Contains(out, "not known: ") {
			t.Errorf("explain says\n%s", out)
		}
		if out := w.env.MustRun(t, "history"); !strings.Contains(out, "a run was cut off, or is under way: what it removed last is not recorded, by ") {
			t.Errorf("no gap:\n%s", out)
		}
	}
	says()
	// A later run does not make it others' either.
	w.stream(t, "busy", 300, -10*time.Second, 10*time.Millisecond)
	w.env.MustRun(t, "once", "trim")
	says()
	for _, sum := range historyOf(t, w.env, "--trims", "busy").Trims {
		if sum.Others > 0 {
			t.Errorf("%+v", sum)
		}
	}

	w.stream(t, "dead", 10, 72*time.Hour, time.Second)
	runKilledAt(t, w, "streamkeeper:history", "cleanup")
	if n := s.Client.Exists(t.Context(), "stream:dead").Val(); n != 0 {
		t.Fatal("it was not retired")
	}
	if h := historyOf(t, w.env, "dead"); len(h.Removals) != 2 {
		t.Errorf("%+v", h)
	}
}
