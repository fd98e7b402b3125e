package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
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
	c, err := LaunchCluster(t.Context(), t.TempDir(), masters, replicas, args...)
	t.Cleanup(c.Stop)
	must(t, err)
	return c
}

// LaunchCluster is StartCluster without a test; the caller stops the cluster,
// also one that did not come up.
func LaunchCluster(ctx context.Context, dir string, masters int, replicas bool, args ...string) (*Cluster, error) {
	return launchCluster(ctx, dir, masters, replicas, func(int) []string { return args })
}

// StartClusterOf starts a cluster that ends with the test, of masters each of
// which has arguments of its own.
func StartClusterOf(t testing.TB, masters int, args func(i int) []string) *Cluster {
	t.Helper()
	c, err := launchCluster(t.Context(), t.TempDir(), masters, false, args)
	t.Cleanup(c.Stop)
	must(t, err)
	return c
}

func launchCluster(ctx context.Context, dir string, masters int, replicas bool, args func(i int) []string) (*Cluster, error) {
	c := &Cluster{}
	for i := range masters {
		if err := c.addMaster(ctx, dir, i*Slots/masters, (i+1)*Slots/masters-1, replicas, args(i)); err != nil {
			return c, err
		}
	}
	c.Client = redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{c.Masters[0].Addr}, Protocol: 2, MaxRedirects: 20})
	return c, c.form(ctx)
}

// addMaster starts a master of the slots from first to last.
func (c *Cluster) addMaster(ctx context.Context, dir string, first, last int, replica bool, args []string) error {
	s, err := launchNode(ctx, dir, args)
	if err != nil {
		return err
	}
	c.Masters = append(c.Masters, s)
	if err := s.Client.ClusterAddSlotsRange(ctx, first, last).Err(); err != nil {
		return fmt.Errorf("giving a master its slots: %w", err)
	}
	if err := s.Client.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", len(c.Masters)).Err(); err != nil {
		return fmt.Errorf("giving a master its epoch: %w", err)
	}
	if !replica {
		return nil
	}
	follower, err := launchNode(ctx, dir, args)
	if err == nil {
		c.Replicas = append(c.Replicas, follower)
	}
	return err
}

// nodeTries is how often a node is started that finds the port of its bus taken
// by then: it ends after its other port has answered.
const nodeTries = 3

func launchNode(ctx context.Context, dir string, args []string) (*Server, error) {
	var failed error
	for range nodeTries {
		s, err := launchOnce(dir, args)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		err = s.Client.Ping(ctx).Err()
		if _, answered := errors.AsType[redis.Error](err); err == nil || answered {
			return s, nil
		}
		s.Stop()
		failed = errors.Join(failed, err)
	}
	return nil, fmt.Errorf("starting a node: %w", failed)
}

func launchOnce(dir string, args []string) (*Server, error) {
	own, err := os.MkdirTemp(dir, "node")
	if err != nil {
		return nil, err
	}
	bus, err := freePort()
	if err != nil {
		return nil, err
	}
	return Launch(own, append([]string{"--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus), "--cluster-node-timeout", "2000"}, args...)...)
}

// form has the nodes meet, and waits until they are a cluster.
func (c *Cluster) form(ctx context.Context) error {
	first := c.Masters[0]
	host, port, _ := net.SplitHostPort(first.Addr)
	bus, err := busPort(ctx, first)
	if err != nil {
		return err
	}
	for _, s := range c.nodes()[1:] {
		if err := s.Client.Do(ctx, "CLUSTER", "MEET", host, port, bus).Err(); err != nil {
			return fmt.Errorf("having two nodes meet: %w", err)
		}
	}
	if err := c.await(ctx, fmt.Sprintf("cluster_known_nodes:%d\r", len(c.nodes()))); err != nil {
		return err
	}
	for i, s := range c.Replicas {
		id, err := c.Masters[i].Client.ClusterMyID(ctx).Result()
		if err == nil {
			err = s.Client.ClusterReplicate(ctx, id).Err()
		}
		if err != nil {
			return fmt.Errorf("making a node a replica: %w", err)
		}
	}
	return c.await(ctx, "cluster_state:ok", fmt.Sprintf("cluster_slots_assigned:%d\r", Slots))
}

// Stop ends all nodes and the client.
func (c *Cluster) Stop() {
	if c.Client != nil {
		_ = c.Client.Close()
	}
	for _, s := range c.nodes() {
		s.Stop()
	}
}

func (c *Cluster) nodes() []*Server { return append(append([]*Server{}, c.Masters...), c.Replicas...) }

// await waits until every node's CLUSTER INFO says all of that.
func (c *Cluster) await(ctx context.Context, wanted ...string) error {
	deadline := time.Now().Add(30 * time.Second)
	for _, s := range c.nodes() {
		says := func(want string) bool { return strings.Contains(s.Client.ClusterInfo(ctx).Val(), want) }
		for _, want := range wanted {
			for ; !says(want); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) || ctx.Err() != nil {
					return fmt.Errorf("waiting for %s to say %q takes too long", s.Addr, want)
				}
			}
		}
	}
	return nil
}

// MasterOf is the master that serves a key.
func (c *Cluster) MasterOf(ctx context.Context, key string) (*Server, error) {
	node, err := c.Client.MasterForKey(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("looking for the master of %q: %w", key, err)
	}
	for _, s := range c.Masters {
		if s.Addr == node.Options().Addr {
			return s, nil
		}
	}
	return nil, fmt.Errorf("the key %q is served by %s, which is no master of this cluster", key, node.Options().Addr)
}

// Await waits until something is so, for a minute at most.
func Await(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !so(); time.Sleep(10 * time.Millisecond) {
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

// Shift begins to move a slot to another master: keys that the first one does
// not have are asked for and made there. It is undone by nothing but
// [Cluster.Migrate].
func (c *Cluster) Shift(ctx context.Context, slot, from, to int) error {
	source, target := c.Masters[from], c.Masters[to]
	sourceID, targetID := source.Client.ClusterMyID(ctx).Val(), target.Client.ClusterMyID(ctx).Val()
	if err := target.Client.Do(ctx, "CLUSTER", "SETSLOT", slot, "IMPORTING", sourceID).Err(); err != nil {
		return fmt.Errorf("importing slot %d: %w", slot, err)
	}
	if err := source.Client.Do(ctx, "CLUSTER", "SETSLOT", slot, "MIGRATING", targetID).Err(); err != nil {
		return fmt.Errorf("migrating slot %d: %w", slot, err)
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
	if err := c.Shift(ctx, slot, from, to); err != nil {
		return err
	}
	source, target := c.Masters[from], c.Masters[to]
	targetID := target.Client.ClusterMyID(ctx).Val()
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

// busPort is the port of a node's cluster bus.
func busPort(ctx context.Context, s *Server) (string, error) {
	config, err := s.Client.ConfigGet(ctx, "cluster-port").Result()
	if err != nil {
		return "", fmt.Errorf("asking for the port of the cluster bus: %w", err)
	}
	return config["cluster-port"], nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
