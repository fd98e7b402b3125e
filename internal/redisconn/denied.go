package redisconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// Probe is a command that a user may lack the right to, as it would be sent.
type Probe struct {
	// Key is what it is about, "" for none; a cluster is asked at the key's node.
	Key  string
	Args []any
}

// Denial is why a probe was denied.
type Denial struct {
	Probe Probe
	// OfKey says that it is the key which is denied, and not the command.
	OfKey bool
}

// ErrProbing is returned where rights cannot be asked for.
var ErrProbing = errors.New("which rights are missing in all can only be asked with +multi and +discard")

// Denied asks which of the commands the user may not send, by queueing them in a
// transaction that is discarded: nothing runs.
func (c *Conn) Denied(ctx context.Context, probes []Probe) ([]Denial, error) {
	nodes, err := c.probesByNode(ctx, probes)
	if err != nil {
		return nil, err
	}
	var denials []Denial
	for addr, of := range nodes {
		found, err := c.deniedAt(ctx, addr, of)
		if err != nil {
			return nil, err
		}
		denials = append(denials, found...)
	}
	return denials, nil
}

// probesByNode sorts probes by the node that serves their keys; what has no key is
// asked at each node. The one server has the address "".
func (c *Conn) probesByNode(ctx context.Context, probes []Probe) (map[string][]Probe, error) {
	cluster, ok := c.rdb.(*redis.ClusterClient)
	if !ok {
		return map[string][]Probe{"": probes}, nil
	}
	nodes := make(map[string][]Probe)
	err := c.Masters(ctx, func(_ context.Context, node *redis.Client) error {
		nodes[node.Options().Addr] = nil
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, p := range probes {
		if p.Key == "" {
			for addr := range nodes {
				nodes[addr] = append(nodes[addr], p)
			}
			continue
		}
		node, err := cluster.MasterForKey(ctx, p.Key)
		if err != nil {
			return nil, fmt.Errorf("looking for the master of a key: %w", err)
		}
		nodes[node.Options().Addr] = append(nodes[node.Options().Addr], p)
	}
	return nodes, nil
}

// deniedAt asks one server, over one connection that is never replaced: on
// another one the commands would not be queued, but run.
func (c *Conn) deniedAt(ctx context.Context, addr string, probes []Probe) ([]Denial, error) {
	client, err := c.probing(addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = client.Close() }()
	conn := client.Conn()
	defer func() { _ = conn.Close() }()
	if err := conn.Do(ctx, "multi").Err(); err != nil {
		if redis.HasErrorPrefix(err, "NOPERM") {
			return nil, ErrProbing
		}
		return nil, fmt.Errorf("beginning a transaction: %w", err)
	}
	var denials []Denial
	for _, p := range probes {
		answer, err := conn.Do(ctx, p.Args...).Result()
		switch reply, answered := errors.AsType[redis.Error](err); {
		case err == nil && answer == "QUEUED":
		case answered && strings.HasPrefix(reply.Error(), "NOPERM"):
			denials = append(denials, Denial{p, strings.Contains(reply.Error(), " key")})
		case answered: // as a command that this version does not know
		case err == nil:
			return nil, fmt.Errorf("%w: a command was not queued", ErrIncomplete)
		default:
			return nil, fmt.Errorf("asking for rights: %w", err)
		}
	}
	// The end of the connection discards it, too.
	_ = conn.Do(ctx, "discard").Err()
	return denials, nil
}

// probing is a client of one server that dials once.
func (c *Conn) probing(addr string) (*redis.Client, error) {
	t, err := c.connection.target()
	if err != nil {
		return nil, err
	}
	o, err := c.connection.options(t)
	if err != nil {
		return nil, err
	}
	dial := o.Dialer
	switch {
	case addr != "":
		o.Addr, dial = addr, newTopology(t).dialer(o.Dialer)
	case t.shape == ofSentinels:
		dial = newSentinels(c.connection, t, o).dial
	}
	var dialled atomic.Bool
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if dialled.Swap(true) {
			return nil, errors.New("the connection broke")
		}
		return dial(ctx, network, addr)
	}
	o.OnConnect, o.MaxRetries, o.DialerRetries, o.PoolSize = nil, -1, 1, 1
	return redis.NewClient(o), nil
}
