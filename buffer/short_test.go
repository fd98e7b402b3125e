package buffer

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// A reply that is shorter than it should be is an error of what was asked, never
// a stream that is gone, a session that was removed, or a panic.
func TestShortRepliesAreErrors(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	s.Client.SAdd(ctx, "streams", "a")
	s.Client.XAdd(ctx, &redis.XAddArgs{Stream: "stream:a", Values: []any{"id", "1", "data", "x"}})
	s.Client.HSet(ctx, "sessions", "object", `{"streamName":"a","lastUpdated":1700000000000}`)
	s.Client.HSet(ctx, "sessions", "fields:streamName", "a", "fields:lastUpdated", "1700000000000")
	s.Client.HSet(ctx, "sessions:key", "streamName", "a", "lastUpdated", "1700000000000")
	p := redistest.StartProxy(t, s.Addr)
	b, err := Open(ctx, Options{Connection: redisconn.Connection{URL: p.URL()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	var sessions []registry.Session
	if err := b.WalkSessions(ctx, func(page []registry.Session) error {
		sessions = append(sessions, page...)
		return nil
	}); err != nil || len(sessions) != 3 {
		t.Fatalf("%d sessions, %v", len(sessions), err)
	}
	for _, short := range []string{"*0\r\n", "*1\r\n$6\r\nstream\r\n", "$0\r\n\r\n"} {
		p.Set(func(command []string) redistest.Fault {
			if !strings.HasPrefix(strings.ToLower(command[0]), "eval") {
				return redistest.Fault{}
			}
			return redistest.Fault{Rewrite: func([]byte) []byte { return []byte(short) }}
		})
		wrong := func(what string, err error) {
			t.Helper()
			if err == nil {
				t.Errorf("%s took the reply %q", what, short)
			}
		}
		infos, err := b.Infos(ctx, []string{"a"})
		if err == nil {
			err = infos[0].Err
		}
		wrong("Infos", err)
		found, err := b.Oldest(ctx, []OldestRequest{{Stream: "a", Before: TimeID(time.Now()), Count: 1}})
		if err == nil {
			err = found[0].Err
		}
		wrong("Oldest", err)
		floors, err := b.GroupFloors(ctx, []string{"a"}, GroupLimits{})
		if err == nil {
			err = floors[0].Err
		}
		wrong("GroupFloors", err)
		wrong("Tails", b.Tails(ctx, []TailRequest{{Stream: "a", MaxCount: 1, MaxBytes: 99}})[0].Err)
		for _, session := range sessions {
			removed, err := expire(ctx, b, []registry.Session{session})
			if err == nil || removed[0] {
				t.Errorf("expiring %q took the reply %q: %v", session.Identity, short, removed)
			}
		}
	}
}
