package redisconn

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestEachWrongServerIsExplained(t *testing.T) {
	plain := redistest.Start(t)
	guarded := redistest.Start(t, "--requirepass", "right")
	old := redistest.Start(t, "--rename-command", "HELLO", "")
	secure := redistest.StartTLS(t, redistest.MakeCertificates(t, "redis.example"))
	sentinel := redistest.StartSentinels(t, "").Servers[0]
	full := redistest.Start(t)
	if err := full.Client.ConfigSet(t.Context(), "maxclients", "1").Err(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name       string
		connection Connection
		wants      string
		class      Class
	}{
		{"no password", Connection{URL: guarded.URL()}, "it wants a password: set REDIS_PASSWORD or REDIS_PASSWORD_FILE", ClassAuth},
		{"a wrong password", Connection{URL: "redis://:wrong@" + guarded.Addr}, "wrong user or password: set REDIS_PASSWORD", ClassAuth},
		{"a password in the user's place", Connection{URL: "redis://right@" + guarded.Addr}, "a password alone is written redis://:password@host", ClassAuth},
		{"no HELLO", Connection{URL: "redis://" + old.Addr}, "a Redis before 6.2 or a proxy", ClassOther},
		{"a Sentinel", Connection{URL: "redis://" + sentinel.Addr}, "it is a Sentinel and holds no data: add ?master_name=", ClassOther},
		{"no such database", Connection{URL: "redis://" + plain.Addr + "/99"}, "it has no database 99", ClassOther},
		{"no room", Connection{URL: full.URL()}, "raise its maxclients", ClassConnection},
		{"TLS to a plain port", Connection{URL: "rediss://" + plain.Addr, Timeout: 10 * time.Second}, "the port does not speak TLS: use redis://", ClassConnection},
		{"TLS to a plain port with a password", Connection{URL: "rediss://" + guarded.Addr, Timeout: 10 * time.Second}, "the port does not speak TLS", ClassConnection},
		{"plain to a TLS port", Connection{URL: "redis://" + secure.Addr, Timeout: 10 * time.Second}, "the port speaks TLS: use rediss://", ClassConnection},
	} {
		t.Run(c.name, func(t *testing.T) {
			started := time.Now()
			conn, err := Open(t.Context(), Options{Connection: c.connection})
			if err == nil {
				_ = conn.Close()
				t.Fatal("it opens")
			}
			if !strings.Contains(err.Error(), c.wants) || !strings.Contains(err.Error(), c.connection.Redacted()) || strings.Contains(err.Error(), "right") {
				t.Errorf("it says %v", err)
			}
			if got := ClassOf(err); got != c.class {
				t.Errorf("the class is %s, want %s", got, c.class)
			}
			if took := time.Since(started); took > 4*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
	if _, err := Open(t.Context(), Options{Connection: Connection{URL: "redis://" + old.Addr}}); !errors.Is(err, ErrNoHello) {
		t.Errorf("without HELLO: %v", err)
	}
}
