package redisconn

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
	"github.com/streamkeeper/streamkeeper/internal/rescue"
)

func open(t *testing.T, c Connection) *Conn {
	t.Helper()
	conn, err := Open(t.Context(), Options{Connection: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// As in the middle of a rotation: the password changed, and ours did not yet.
func TestAConnectionThatIsRefusedIsAnErrorOfEachCommand(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	rotate := func(t *testing.T, servers ...*redistest.Server) {
		t.Helper()
		for _, s := range servers {
			if err := s.Client.Do(ctx, "ACL", "SETUSER", "worker", "reset", "on", ">second", "~*", "+@all").Err(); err != nil {
				t.Fatal(err)
			}
			if err := s.Client.ClientKillByFilter(ctx, "USER", "worker").Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	single := redistest.Start(t)
	cluster := redistest.StartCluster(t, 3, false)
	for name, c := range map[string]struct {
		url     string
		servers []*redistest.Server
	}{
		"one server": {single.URL(), []*redistest.Server{single}},
		"a cluster":  {cluster.URL(), cluster.Masters},
	} {
		t.Run(name, func(t *testing.T) {
			for _, s := range c.servers {
				if err := s.Client.Do(ctx, "ACL", "SETUSER", "worker", "reset", "on", ">first", "~*", "+@all").Err(); err != nil {
					t.Fatal(err)
				}
			}
			conn := open(t, Connection{URL: c.url, Username: "worker", Password: "first"})
			rotate(t, c.servers...)
			pipe := conn.Client().Pipeline()
			cmds := []redis.Cmder{pipe.HMGet(ctx, "a", "f"), pipe.SMIsMember(ctx, "b", 1, 2), pipe.Exists(ctx, "c"), pipe.XLen(ctx, "d")}
			_, err := pipe.Exec(ctx)
			if ClassOf(err) != ClassAuth {
				t.Errorf("the pipeline: %v", err)
			}
			for _, cmd := range cmds {
				if ClassOf(cmd.Err()) != ClassAuth {
					t.Errorf("%s has the error %v", cmd.Name(), cmd.Err())
				}
			}
			for _, cmd := range conn.EvalRead(ctx, NewScript(`return {}`), []Call{{Keys: []string{"a"}}, {Keys: []string{"b"}}}) {
				if ClassOf(cmd.Err()) != ClassAuth {
					t.Errorf("a script has the error %v", cmd.Err())
				}
			}
			// No right is missing: the user is refused as a whole.
			if _, err := conn.Denied(ctx, []Probe{{Args: []any{"ping"}}}); err == nil || errors.Is(err, ErrProbing) || ClassOf(err) != ClassAuth {
				t.Errorf("rights: %v", err)
			}
			if err := conn.Ping(ctx); err == nil || !strings.Contains(err.Error(), "127.0.0.1") || !strings.Contains(err.Error(), "wrong user or password: set REDIS_PASSWORD") {
				t.Errorf("a sign of life: %v", err)
			}
		})
	}
}

func TestAReplyThatIsTooShortIsAnError(t *testing.T) {
	s := redistest.Start(t)
	p := redistest.StartProxy(t, s.Addr)
	ctx := t.Context()
	conn := open(t, Connection{URL: p.URL()})
	p.Set(func(command []string) redistest.Fault {
		return redistest.Fault{Rewrite: func(answer []byte) []byte {
			if bytes.HasPrefix(answer, []byte("*2\r\n")) {
				return []byte("*0\r\n")
			}
			return answer
		}}
	})
	for name, call := range map[string]func(redis.Cmdable) redis.Cmder{
		"HMGET":      func(c redis.Cmdable) redis.Cmder { return c.HMGet(ctx, "a", "f", "g") },
		"SMISMEMBER": func(c redis.Cmdable) redis.Cmder { return c.SMIsMember(ctx, "b", 1, 2) },
		"ZMSCORE":    func(c redis.Cmdable) redis.Cmder { return c.ZMScore(ctx, "c", "m", "n") },
		"MGET":       func(c redis.Cmdable) redis.Cmder { return c.MGet(ctx, "d", "e") },
	} {
		if err := call(conn.Client()).Err(); !errors.Is(err, ErrIncomplete) {
			t.Errorf("%s: %v", name, err)
		}
		pipe := conn.Client().Pipeline()
		first, short := pipe.Exists(ctx, "x"), call(pipe)
		if _, err := pipe.Exec(ctx); !errors.Is(err, ErrIncomplete) || first.Err() != nil || !errors.Is(short.Err(), ErrIncomplete) {
			t.Errorf("%s in a pipeline: %v, %v, %v", name, err, first.Err(), short.Err())
		}
	}
}

func TestAScriptThatNobodyAnsweredHasAnError(t *testing.T) {
	cmd := &scriptCmd{Cmd: redis.NewCmd(t.Context(), "evalsha", "x", 0)}
	send := answered{}.ProcessPipelineHook(func(context.Context, []redis.Cmder) error { return nil })
	if err := send(t.Context(), []redis.Cmder{cmd}); !errors.Is(err, ErrIncomplete) || !errors.Is(cmd.Err(), ErrIncomplete) {
		t.Errorf("%v, %v", err, cmd.Err())
	}
}

func TestAPanicWhileAPageIsFetchedIsAnErrorOfTheWalk(t *testing.T) {
	fetch := func(context.Context, uint64) ([]int, uint64, error) {
		var none []int
		return none[:0:0][1:2], 0, nil
	}
	err := WalkPages(t.Context(), fetch, func([]int) error { return nil })
	if _, ok := errors.AsType[*rescue.PanicError](err); !ok {
		t.Errorf("the scan ends with %v", err)
	}
	s := redistest.Start(t)
	if err := s.Client.Set(t.Context(), "p:1", 1, 0).Err(); err != nil {
		t.Fatal(err)
	}
	read := func(context.Context, []string) ([]int, error) { panic("out of range") }
	err = WalkKeyspace(t.Context(), open(t, Connection{URL: s.URL()}), []string{"p:"}, "string", read, func([]int) error { return nil })
	if _, ok := errors.AsType[*rescue.PanicError](err); !ok {
		t.Errorf("the scan of the keyspace ends with %v", err)
	}
}
