package redisconn

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// replicaOf starts a replica that takes writes.
func replicaOf(t *testing.T, master *redistest.Server) *redistest.Server {
	t.Helper()
	s := redistest.Start(t, "--replica-read-only", "no")
	follow(t, s, master)
	return s
}

func follow(t *testing.T, s, master *redistest.Server) {
	t.Helper()
	host, port := "127.0.0.1", master.Addr[len("127.0.0.1:"):]
	if err := s.Client.Do(t.Context(), "REPLICAOF", host, port).Err(); err != nil {
		t.Fatal(err)
	}
	redistest.Await(t, "the replica to follow", func() bool {
		info, _ := s.Client.Info(t.Context(), "replication").Result()
		return strings.Contains(info, "master_link_status:up")
	})
}

func TestNothingIsChangedOnAReplica(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	replica := replicaOf(t, master)
	conn, err := Open(t.Context(), Options{Connection: Connection{URL: replica.URL()}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.Refusal(t.Context()); !errors.Is(err, ErrReplica) {
		t.Errorf("the refusal is %v", err)
	}
	err = conn.Client().Set(t.Context(), "k", "v", 0).Err()
	if !errors.Is(err, ErrReplica) || ClassOf(err) != ClassReadOnly || !IsLost(err) {
		t.Errorf("a write: %v of class %s", err, ClassOf(err))
	}
	pipe := conn.Client().Pipeline()
	exists, set := pipe.Exists(t.Context(), "k"), pipe.Set(t.Context(), "k", "v", 0)
	if _, err := pipe.Exec(t.Context()); !errors.Is(err, ErrReplica) || !errors.Is(exists.Err(), ErrReplica) || !errors.Is(set.Err(), ErrReplica) {
		t.Errorf("a pipeline: %v", err)
	}
	if n, err := conn.Client().Exists(t.Context(), "k").Result(); n != 0 || err != nil {
		t.Errorf("%d keys were written, %v", n, err)
	}
	allowed, err := Open(t.Context(), Options{Connection: Connection{URL: replica.URL()}, AllowReplica: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = allowed.Close() }()
	if err := allowed.Client().Set(t.Context(), "k", "v", 0).Err(); err != nil || allowed.Refusal(t.Context()) != nil {
		t.Errorf("where it is allowed: %v", err)
	}
}

func TestAServerThatBecomesAReplicaIsNotChangedAnyMore(t *testing.T) {
	t.Parallel()
	s, other := redistest.Start(t, "--replica-read-only", "no"), redistest.Start(t)
	var passed atomic.Int64
	start := time.Now()
	conn, err := Open(t.Context(), Options{Connection: Connection{URL: s.URL()}, Now: func() time.Time { return start.Add(time.Duration(passed.Load())) }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	write := func() error { return conn.Client().Set(t.Context(), "k", "v", 0).Err() }
	if err := write(); err != nil {
		t.Fatal(err)
	}
	follow(t, s, other)
	passed.Add(int64(roleAge + time.Millisecond))
	if err := write(); !errors.Is(err, ErrReplica) {
		t.Errorf("after it became a replica: %v", err)
	}
	if err := s.Client.Do(t.Context(), "REPLICAOF", "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	passed.Add(int64(roleAge + time.Millisecond))
	if err := write(); err != nil || conn.Refusal(t.Context()) != nil {
		t.Errorf("after it became a master again: %v", err)
	}
}

func TestVisitsDoNotMakeKeysLookUsed(t *testing.T) {
	t.Parallel()
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		s := start(t)
		if err := s.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: "k", Values: []string{"a", "b"}}).Err(); err != nil {
			t.Fatal(err)
		}
		conn := open(t, Connection{URL: s.URL()})
		redistest.Await(t, "the key to be idle", func() bool { return idleTime(t, s) >= 2 })
		read := NewScript(`return redis.call('XLEN', KEYS[1])`)
		for _, cmd := range conn.EvalRead(t.Context(), read, []Call{{Keys: []string{"k"}}}) {
			if cmd.Err() != nil {
				t.Fatal(cmd.Err())
			}
		}
		if err := conn.Client().XLen(t.Context(), "k").Err(); err != nil {
			t.Fatal(err)
		}
		untouched := idleTime(t, s) >= 2
		if can := conn.Server().AtLeast(7, 2); untouched != can {
			t.Errorf("%s %s: untouched is %v", conn.Server().Name, conn.Server().Version, untouched)
		}
	})
}

func TestAUserWhoMayNotAskForNoTouchIsServed(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		s := start(t)
		if err := s.Client.Do(t.Context(), "ACL", "SETUSER", "me", "on", ">p", "~*", "+xlen").Err(); err != nil {
			t.Fatal(err)
		}
		var counted []Class
		conn, err := Open(t.Context(), Options{Connection: Connection{URL: "redis://me:p@" + s.Addr}, OnError: func(c Class) { counted = append(counted, c) }})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if err := conn.Client().XLen(t.Context(), "k").Err(); err != nil || len(counted) > 0 {
			t.Errorf("%v, counted %q", err, counted)
		}
	})
}

func idleTime(t *testing.T, s *redistest.Server) int64 {
	t.Helper()
	idle, err := s.Client.Do(t.Context(), "OBJECT", "IDLETIME", "k").Int64()
	if err != nil {
		t.Fatal(err)
	}
	return idle
}
