package redistest

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Slots is the number of a cluster's hash slots.
const Slots = 16384

// Cluster is a Redis Cluster of the test's own.
type Cluster struct {
	// Masters and Replicas as they were made; Replicas[i] follows Masters[i].
	Masters, Replicas []*Server
	// Client speaks to the whole cluster as the test does.
	Client *redis.ClusterClient
}

// StartCluster starts a cluster that ends with the test: so many masters, with
// a replica each if asked for. The arguments go to each server.
func StartCluster(t testing.TB, masters int, replicas bool, args ...string) *Cluster {
	t.Helper()
	ctx := t.Context()
	c := &Cluster{}
	for i := range masters {
		s := startNode(t, args)
		must(t, s.Client.ClusterAddSlotsRange(ctx, i*Slots/masters, (i+1)*Slots/masters-1).Err())
		must(t, s.Client.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err())
		c.Masters = append(c.Masters, s)
		if replicas {
			c.Replicas = append(c.Replicas, startNode(t, args))
		}
	}
	for _, s := range c.nodes()[1:] {
		host, port, _ := net.SplitHostPort(c.Masters[0].Addr)
		must(t, s.Client.Do(ctx, "CLUSTER", "MEET", host, port, busPort(t, c.Masters[0])).Err())
	}
	c.await(t, func(info string) bool {
		return strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d\r", len(c.nodes())))
	})
	for i, s := range c.Replicas {
		must(t, s.Client.ClusterReplicate(ctx, c.Masters[i].nodeID(t)).Err())
	}
	c.await(t, func(info string) bool {
		return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, fmt.Sprintf("cluster_slots_assigned:%d\r", Slots))
	})
	c.Client = redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{c.Masters[0].Addr}, Protocol: 2, MaxRedirects: 20})
	t.Cleanup(func() { _ = c.Client.Close() })
	return c
}

func startNode(t testing.TB, args []string) *Server {
	t.Helper()
	bus, err := freePort()
	must(t, err)
	return Start(t, append([]string{"--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus), "--cluster-node-timeout", "2000"}, args...)...)
}

func (c *Cluster) nodes() []*Server { return append(append([]*Server{}, c.Masters...), c.Replicas...) }

// await waits until every node's CLUSTER INFO is as wanted.
func (c *Cluster) await(t testing.TB, wanted func(info string) bool) {
	t.Helper()
	for _, s := range c.nodes() {
		Await(t, "the cluster to form", func() bool { return wanted(s.Client.ClusterInfo(t.Context()).Val()) })
	}
}

// Await waits until something is so, for 30 s at most.
func Await(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waiting for %s takes too long", what)
		}
	}
}

// URL names the cluster by one of its nodes.
func (c *Cluster) URL() string { return "redis://" + c.Masters[0].Addr }

// NamedURL names all masters.
func (c *Cluster) NamedURL() string {
	var others []string
	for _, s := range c.Masters[1:] {
		others = append(others, "addr="+s.Addr)
	}
	return c.URL() + "?" + strings.Join(others, "&")
}

// Owner is the number of the master that serves a slot, as another one, or the
// same, sees it.
func (c *Cluster) Owner(ctx context.Context, slot, seenBy int) (int, error) {
	ranges, err := c.Masters[seenBy].Client.ClusterSlots(ctx).Result() //nolint:staticcheck // before 7.0 there is no CLUSTER SHARDS
	if err != nil {
		return 0, fmt.Errorf("asking who serves slot %d: %w", slot, err)
	}
	for _, r := range ranges {
		if r.Start <= slot && slot <= r.End {
			for i, s := range c.Masters {
				if r.Nodes[0].Addr == s.Addr {
					return i, nil
				}
			}
		}
	}
	return 0, fmt.Errorf("no master serves slot %d", slot)
}

// agree waits until all masters know who serves a slot, and stay so: for a
// moment, what one node last heard of another may undo it.
func (c *Cluster) agree(ctx context.Context, slot, owner int) error {
	deadline := time.Now().Add(10 * time.Second)
	for stable := 0; stable < 5; time.Sleep(5 * time.Millisecond) {
		stable++
		for i := range c.Masters {
			if seen, err := c.Owner(ctx, slot, i); err != nil || seen != owner {
				stable = 0
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the masters do not agree who serves slot %d", slot)
		}
	}
	return nil
}

// Migrate moves a slot to another master, key by key as redis-cli does, with
// a pause after each key.
func (c *Cluster) Migrate(ctx context.Context, slot, to int, pause time.Duration) error {
	from, err := c.Owner(ctx, slot, 0)
	if err != nil || from == to {
		return err
	}
	source, target := c.Masters[from], c.Masters[to]
	sourceID, targetID := source.Client.ClusterMyID(ctx).Val(), target.Client.ClusterMyID(ctx).Val()
	if err := target.Client.Do(ctx, "CLUSTER", "SETSLOT", slot, "IMPORTING", sourceID).Err(); err != nil {
		return fmt.Errorf("importing slot %d: %w", slot, err)
	}
	if err := source.Client.Do(ctx, "CLUSTER", "SETSLOT", slot, "MIGRATING", targetID).Err(); err != nil {
		return fmt.Errorf("migrating slot %d: %w", slot, err)
	}
	host, port, _ := net.SplitHostPort(target.Addr)
	for {
		keys, err := source.Client.ClusterGetKeysInSlot(ctx, slot, 1).Result()
		if err != nil {
			return fmt.Errorf("reading the keys of slot %d: %w", slot, err)
		}
		if len(keys) == 0 {
			break
		}
		if err := source.Client.Do(ctx, "MIGRATE", host, port, "", 0, 5000, "KEYS", keys[0]).Err(); err != nil {
			return fmt.Errorf("migrating a key of slot %d: %w", slot, err)
		}
		time.Sleep(pause)
	}
	for _, s := range append([]*Server{target, source}, c.Masters...) {
		if err := s.Client.Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", targetID).Err(); err != nil {
			return fmt.Errorf("giving slot %d away: %w", slot, err)
		}
	}
	return c.agree(ctx, slot, to)
}

func (s *Server) nodeID(t testing.TB) string {
	t.Helper()
	id, err := s.Client.ClusterMyID(t.Context()).Result()
	must(t, err)
	return id
}

// busPort is the port of a node's cluster bus.
func busPort(t testing.TB, s *Server) string {
	t.Helper()
	config, err := s.Client.ConfigGet(t.Context(), "cluster-port").Result()
	must(t, err)
	return config["cluster-port"]
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
