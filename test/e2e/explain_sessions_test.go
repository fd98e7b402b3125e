package e2e

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestExplainSaysOfASessionTheSameBesideItsStream(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	w := newFixture(server.Client, server.URL())
	w.env["CLEANUP_BRAKE"], w.env["CLEANUP_ABANDON_AFTER"], w.env["SESSIONS_LAYOUT"] = "1", "2m", "keys,object"
	w.stream(t, "dead", 5, 72*time.Hour, time.Millisecond)
	w.stream(t, "quiet", 5, time.Hour, time.Millisecond)
	w.session(t, "keys", "old", "dead", 48*time.Hour)
	w.session(t, "keys", "twice", "quiet", 48*time.Hour)
	w.session(t, "object", "twice", "quiet", time.Minute)
	w.session(t, "keys", "silent", "quiet", 10*time.Minute)
	mustDo(t, w.client.HSet(t.Context(), "sessions:silent", "json", `{"identity":"silent","state":"open"}`).Err())
	type sessions []struct {
		Session, Layout, State, Next string
		JSONState                    string `json:"json_state"`
	}
	said := func(all sessions) map[string]string {
		m := make(map[string]string)
		for _, s := range all {
			m[s.Session+" "+s.Layout] = strings.Join([]string{s.State, s.Next, s.JSONState}, ", ")
		}
		return m
	}
	type answer struct {
		Streams []struct {
			Fate     string
			Sessions sessions
		}
		Sessions sessions
	}
	beside := make(map[string]string)
	for _, s := range decode[answer](t, w.env.MustRun(t, "explain", "dead", "quiet", "-o", "json")).Streams {
		for name, text := range said(s.Sessions) {
			beside[name] = text
			if s.Fate == "retire" && !strings.Contains(text, "expire") {
				t.Errorf("its stream retires, and session %s: %s", name, text)
			}
		}
	}
	alone := said(decode[answer](t, w.env.MustRun(t, "explain", "--session", "old", "twice", "silent", "-o", "json")).Sessions)
	for name, next := range map[string]string{"old keys": "expire", "twice keys": "expire", "twice object": "nothing", "silent keys": "abandon"} {
		if !strings.Contains(alone[name], ", "+next+", ") || alone[name] != beside[name] {
			t.Errorf("%s: %q, and beside its stream %q; want %s", name, alone[name], beside[name], next)
		}
	}
	text := strings.Join(strings.Fields(w.env.MustRun(t, "explain", "dead", "quiet")), " ")
	for _, want := range []string{"old (keys): stale, not updated for 2d (limit 24h); next clean-up: expire clean-up retire:", "; next clean-up: abandon"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text does not say %q:\n%s", want, text)
		}
	}
	w.env["CLEANUP_BRAKE"], w.env["CLEANUP_BRAKE_MIN"] = "0.1", "1"
	text = strings.Join(strings.Fields(w.env.MustRun(t, "explain", "dead")), " ")
	if !strings.Contains(text, "; next clean-up: nothing, the mass-deletion guard stops the clean-up: ") {
		t.Errorf("what the guard stops:\n%s", text)
	}
}

func TestExplainKnowsASessionThatCanBePutBackWithoutAHistory(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	w := newFixture(server.Client, server.URL())
	w.env["CLEANUP_BRAKE"], w.env["HISTORY_LENGTH"], w.env["SESSIONS_LAYOUT"] = "1", "0", "keys,object"
	w.stream(t, "busy", 5, 30*time.Hour, time.Millisecond)
	w.session(t, "keys", "one", "busy", 48*time.Hour)
	w.session(t, "object", "two", "busy", 48*time.Hour)
	w.env.MustRun(t, "once", "cleanup")
	says := func(want string, code int, set ...string) {
		t.Helper()
		env := maps.Clone(w.env)
		for i := 0; i+1 < len(set); i += 2 {
			env[set[i]] = set[i+1]
		}
		for _, name := range []string{"one", "two"} {
			got, out, errs := env.Run(t, "explain", "--session", name)
			if text := strings.Join(strings.Fields(out+errs), " "); got != code || !strings.Contains(text, want) {
				t.Errorf("%q: %s: exit %d; want %q:\n%s", set, name, got, want, text)
			}
		}
	}
	says("stream busy undo can put it back until 20", cli.ExitOK)
	says("until the next clean-up, which removes its copy", cli.ExitOK, "CLEANUP_UNDO_FOR", "0")
	says("undo does not put it back: STREAMS_INCLUDE and STREAMS_EXCLUDE", cli.ExitOK, "STREAMS_EXCLUDE", "busy")
	mustDo(t, server.Client.Set(t.Context(), "streamkeeper:history", "x", 0).Err())
	says("undo can put it back until 20", cli.ExitOK, "HISTORY_LENGTH", "1000")
	type gone struct {
		Sessions []struct {
			State     string
			Undo      bool
			UndoUntil time.Time `json:"undo_until"`
			ExpiredAt time.Time `json:"expired_at"`
		}
	}
	for _, s := range decode[gone](t, w.env.MustRun(t, "explain", "--session", "one", "two", "-o", "json")).Sessions {
		if s.State != "gone" || !s.Undo || s.UndoUntil.Sub(s.ExpiredAt) != 24*time.Hour {
			t.Errorf("%+v", s)
		}
	}
	mustDo(t, server.Client.FlushAll(t.Context()).Err())
	says("whether there was one is not known: nothing is recorded", cli.ExitFailure)
}

func TestExplainCountsFromTheNewestMessageOfASession(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	w := newFixture(server.Client, server.URL())
	w.env["CLEANUP_ABANDON_AFTER"], w.env["CLEANUP_BRAKE"], w.env["CLEANUP_BRAKE_MIN"] = "2m", "0.1", "1"
	w.stream(t, "flows", 5, 0, time.Second)
	w.stream(t, "quiet", 5, 26*time.Hour, time.Second)
	for identity, s := range map[string]struct {
		stream string
		ago    time.Duration
	}{"flowing": {"flows", 48 * time.Hour}, "silent": {"quiet", 10 * time.Minute}, "closed": {"quiet", 48 * time.Hour}, "other": {"quiet", 48 * time.Hour}} {
		w.session(t, "keys", identity, s.stream, s.ago)
		mustDo(t, w.client.HSet(t.Context(), "sessions:"+identity, "json", `{"identity":"x","state":"open"}`).Err())
	}
	type answer struct {
		Sessions []struct {
			Session, State, Next, Messages string
			NextReason                     string    `json:"next_reason"`
			LastMessage                    time.Time `json:"last_message"`
			ExpiresAt                      time.Time `json:"expires_at"`
			AbandonedAt                    time.Time `json:"abandoned_at"`
		}
	}
	all := decode[answer](t, w.env.MustRun(t, "explain", "--session", "flowing", "silent", "closed", "-o", "json")).Sessions
	if s := all[0]; s.State != "flowing" || s.LastMessage.UnixMilli() != w.now.UnixMilli() || s.ExpiresAt.Sub(s.LastMessage) != 24*time.Hour || s.AbandonedAt.Sub(s.LastMessage) != 2*time.Minute {
		t.Errorf("%+v", s)
	}
	// The guard stops removals, and nothing else.
	if s := all[1]; s.Next != "abandon" || s.Messages != "none was found within 24h" || !s.AbandonedAt.IsZero() || s.ExpiresAt.Sub(w.now).Round(time.Minute) != 24*time.Hour-10*time.Minute {
		t.Errorf("%+v", s)
	}
	if s := all[2]; s.Next != "nothing" || !strings.Contains(s.NextReason, "the mass-deletion guard") || !s.ExpiresAt.IsZero() || !s.AbandonedAt.IsZero() {
		t.Errorf("%+v", s)
	}
	text := strings.Join(strings.Fields(w.env.MustRun(t, "explain", "--session", "flowing")), " ")
	if !strings.Contains(text, "messages the last came ") || !strings.Contains(text, " ago; its producer must update lastUpdated") {
		t.Errorf("%s", text)
	}
	w.env.MustRun(t, "pause", "--for", "1h", "--job", "cleanup")
	text = strings.Join(strings.Fields(w.env.MustRun(t, "explain", "--session", "silent")), " ")
	if !strings.Contains(text, "it is due to be marked as abandoned, but clean-up is paused") || strings.Contains(text, "likewise") {
		t.Errorf("%s", text)
	}
	w.env["CLEANUP_FLOWING"] = "false"
	if text := w.env.MustRun(t, "explain", "--session", "flowing"); !strings.Contains(text, "do not count (CLEANUP_FLOWING is false)") {
		t.Errorf("%s", text)
	}
}
