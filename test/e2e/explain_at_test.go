package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestExplainNeverSaysThatNothingWentOfAStreamThatWasRetired(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ctx := t.Context()
	w := newFixture(server.Client, server.URL())
	w.env["CLEANUP_BRAKE"] = "1"
	w.stream(t, "dead", 5, 72*time.Hour, time.Millisecond)
	server.Client.SAdd(ctx, "streams", "nokey")
	server.Client.ZAdd(ctx, "streamkeeper:sighted", redis.Z{Score: float64(time.Now().Add(-48 * time.Hour).UnixMilli()), Member: "nokey"})
	says := func(name, want string) {
		t.Helper()
		at := time.Now().Add(-72 * time.Hour).UTC().Format("2006-01-02T15:04:05Z")
		if text := strings.Join(strings.Fields(w.env.MustRun(t, "explain", name, "--at", at)), " "); !strings.Contains(text, want) {
			t.Errorf("%s: want %q:\n%s", name, want, text)
		}
	}
	w.env["HISTORY_LENGTH"] = "0"
	w.env.MustRun(t, "once", "cleanup")
	says("dead", "removed yes: the stream was retired at ")
	says("nokey", "clean-up gone: there was no key, so streamkeeper took its name out ")
	says("nokey", "removed not known: ")
	w.stream(t, "dead", 5, -time.Minute, time.Second)
	w.stream(t, "nokey", 5, -time.Minute, time.Second)
	for _, length := range []string{"0", "1000"} {
		w.env["HISTORY_LENGTH"] = length
		says("dead", "removed yes: the stream was retired at ")
		says("nokey", "removed not known: nothing has gone from it since its first entry")
	}
	// It comes back with nobody listing it, which is noted, and then nobody remembers.
	server.Client.SRem(ctx, "streams", "dead")
	w.env.MustRun(t, "once", "cleanup")
	says("dead", "removed yes: the stream was retired before its first entry came, at ")
	server.Client.Del(ctx, "streamkeeper:retired")
	says("dead", "removed not known: nothing has gone from it since its first entry")
}
