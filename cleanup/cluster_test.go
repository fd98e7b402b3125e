package cleanup_test

import (
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// startCluster starts three masters. A node that is down leaves the others at
// work, so that only the walks can notice.
func startCluster(t *testing.T) []*redistest.Server {
	t.Helper()
	ctx := t.Context()
	const nodes, slots = 3, 16384
	var servers []*redistest.Server
	for i := range nodes {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_, bus, _ := net.SplitHostPort(l.Addr().String())
		_ = l.Close()
		s := redistest.Start(t, "--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-require-full-coverage", "no", "--cluster-node-timeout", "1000")
		if err := s.Client.ClusterAddSlotsRange(ctx, i*slots/nodes, (i+1)*slots/nodes-1).Err(); err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			host, port, _ := net.SplitHostPort(servers[0].Addr)
			if err := s.Client.Do(ctx, "CLUSTER", "MEET", host, port, busPort(t, servers[0])).Err(); err != nil {
				t.Fatal(err)
			}
		}
		servers = append(servers, s)
	}
	for _, s := range servers {
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			info, _ := s.Client.ClusterInfo(ctx).Result()
			var state string
			var assigned int
			if _, err := fmt.Sscanf(info, "cluster_state:%s\r\ncluster_slots_assigned:%d", &state, &assigned); err == nil && state == "ok" && assigned == slots {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("the cluster does not form: %s", info)
			}
		}
	}
	return servers
}

// busPort is the port of a node's cluster bus.
func busPort(t *testing.T, s *redistest.Server) string {
	t.Helper()
	config, err := s.Client.ConfigGet(t.Context(), "cluster-port").Result()
	if err != nil {
		t.Fatal(err)
	}
	return config["cluster-port"]
}

func TestInAClusterADownNodeKeepsEverything(t *testing.T) {
	t.Parallel()
	servers := startCluster(t)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{servers[0].Addr}, Protocol: 2})
	t.Cleanup(func() { _ = client.Close() })
	w := &fixture{Server: servers[0], t: t, now: time.Now()}
	seed := func() {
		for i := range 30 {
			name := fmt.Sprint("dead ", i)
			client.SAdd(w.t.Context(), "streams", name)
			client.XAdd(w.t.Context(), &redis.XAddArgs{Stream: "stream:" + name, ID: "1600000000000-1", Values: []any{"id", 1}})
			key := fmt.Sprint("sessions:stale ", i)
			client.HSet(w.t.Context(), key, "streamName", name, "lastUpdated", w.now.Add(-old).UnixMilli())
		}
	}
	run := func() (cleanup.Report, error) {
		b, err := buffer.Open(w.t.Context(), buffer.Options{Connection: redisconn.Connection{URL: servers[0].URL(), Timeout: 2 * time.Second}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = b.Close() }()
		return cleanup.New(b, w.options(nil)).Run(w.t.Context())
	}
	seed()
	report, err := run()
	if err != nil || report.SessionsExpired != 30 || report.StreamsRetired != 30 {
		t.Fatalf("with all nodes up: %+v, %v", report, err)
	}

	seed()
	// The node that holds neither the set nor the Hash: their walks succeed.
	down := slices.IndexFunc(servers, func(s *redistest.Server) bool {
		return s != servers[0] && !holdsAny(t, client, s, "streams", "sessions")
	})
	if down < 0 {
		t.Fatal("every node is needed for the set or the Hash")
	}
	servers[down].Kill()
	if report, err := run(); err == nil || report.StreamsRetired+report.NamesDropped != 0 {
		t.Errorf("with a node down: %+v, %v", report, err)
	}
	if n := client.SCard(w.t.Context(), "streams").Val(); n != 30 {
		t.Errorf("%d names are left of 30", n)
	}
}

// holdsAny reports whether a node holds one of the keys' slots.
func holdsAny(t *testing.T, client *redis.ClusterClient, s *redistest.Server, keys ...string) bool {
	t.Helper()
	return slices.ContainsFunc(keys, func(key string) bool {
		node, err := client.MasterForKey(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		return node.Options().Addr == s.Addr
	})
}
