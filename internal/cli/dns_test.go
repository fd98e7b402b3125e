package cli

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// inProcess runs the daemon here, hurried, until the test ends. The resolver
// looks host names up.
func inProcess(t *testing.T, redisURL string, resolver *net.Resolver) {
	t.Helper()
	log := new(program.Buffer)
	a := &app{Program: Program{Stderr: log}}
	o := hurried(redisURL)
	o.Buffer.Connection.Resolver = resolver
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- a.serve(ctx, o, slog.New(slog.NewTextHandler(log, nil)), daemonOptions{})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("the daemon ended: %v", err)
		}
		if t.Failed() {
			t.Log(log)
		}
	})
}

func mustDo(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func outgrow(t *testing.T, client *redis.Client) {
	t.Helper()
	pipe := client.Pipeline()
	pipe.SAdd(t.Context(), "streams", "a")
	for i := range 1000 {
		pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:a", Values: []any{"id", i}})
	}
	_, err := pipe.Exec(t.Context())
	mustDo(t, err)
}

func TestTheDaemonFollowsAHostNameThatMoves(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(t *testing.T, old *redistest.Server, p *redistest.Proxy){
		"and the old server is gone": func(_ *testing.T, old *redistest.Server, p *redistest.Proxy) {
			p.Down(true)
			old.Kill()
		},
		"and the old server hangs": func(_ *testing.T, _ *redistest.Server, p *redistest.Proxy) {
			p.Set(func([]string) redistest.Fault { return redistest.Fault{Hole: true} })
		},
		"and the old server is a replica now": func(t *testing.T, old *redistest.Server, _ *redistest.Proxy) {
			mustDo(t, old.Client.ReplicaOf(t.Context(), "127.0.0.1", "1").Err())
		},
	} {
		t.Run(name, func(t *testing.T) {
			before, behind := redistest.Start(t), redistest.Start(t)
			// Two addresses of one port, as a name leaves the port alone.
			p := redistest.StartProxy(t, before.Addr)
			_, port, err := net.SplitHostPort(p.Addr)
			mustDo(t, err)
			redistest.StartProxyAt(t, net.JoinHostPort("127.0.0.2", port), behind.Addr)
			dns := redistest.StartDNS(t, "127.0.0.1")
			inProcess(t, "redis://redis.example:"+port, dns.Resolver())
			trimmed := func(s *redistest.Server) func() bool {
				return func() bool { n := s.Client.XLen(t.Context(), "stream:a").Val(); return n >= 100 && n < 200 }
			}
			outgrow(t, before.Client)
			program.Eventually(t, 15*time.Second, "the stream is trimmed where the name leads at first", trimmed(before))

			outgrow(t, behind.Client)
			dns.Move("127.0.0.2")
			leave(t, before, p)
			// The command in flight has a second, the lease and the next run another.
			took := program.Eventually(t, 8*time.Second, "the stream is trimmed where the name leads now", trimmed(behind))
			t.Logf("after %s", took.Round(10*time.Millisecond))
		})
	}
}
