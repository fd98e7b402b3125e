package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

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
		for _, want := range []string{"the rule for busy", `consumer group "viewer" still needs 1 500`, "a session names it"} {
			if !strings.Contains(out, want) {
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
		w.env["STREAMS_EXCLUDE"] = "dead"
		for name, want := range map[string]string{"web": "foreign, no RTA field marks it", "dead": "stays: STREAMS_INCLUDE and STREAMS_EXCLUDE leave it to others"} {
			if code, out, errs = w.env.Run(t, "explain", name); code != cli.ExitOK || !strings.Contains(out, want) {
				t.Errorf("exit %d, does not say %q:\n%s%s", code, want, out, errs)
			}
		}
	})
}
