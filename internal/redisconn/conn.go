// Package redisconn is the way to Redis: one server, Sentinels or a Cluster, with
// TLS, scripts, a guard for what only reads, classes of errors, and the pace of
// what is read in pages. It knows nothing of what lies there.
package redisconn

import (
	"cmp"
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Options say where Redis is and how it is used.
type Options struct {
	// Connection says how to reach Redis.
	Connection Connection
	// ReadOnly refuses every command that could write.
	ReadOnly bool
	// AllowReplica lets a replica be changed, which else is refused.
	AllowReplica bool
	// OnError is told the class of each error that Redis or the way to it
	// gives; it must not block. Nil for nobody.
	OnError func(Class)
	// Now is this machine's clock, which is only compared with Redis's; nil
	// means time.Now.
	Now func() time.Time
}

// Conn is an open connection. Its methods may be used by several goroutines at
// once.
type Conn struct {
	rdb    redis.UniversalClient
	server Server
	// connection is how it was opened.
	connection Connection
	timeout    time.Duration
	clock      func() time.Time
	// master guards against changes of a replica; nil where they are allowed.
	master *masterOnly
	// enforceReads has the server refuse writes in scripts that only read.
	enforceReads atomic.Bool
}

// Open connects to Redis and asks what it is. It fails within the
// connection's timeout.
func Open(ctx context.Context, o Options) (*Conn, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Connection.Timeout = cmp.Or(o.Connection.Timeout, DefaultTimeout)
	c := &Conn{connection: o.Connection, timeout: o.Connection.Timeout, clock: o.Now}
	if !o.ReadOnly && !o.AllowReplica {
		c.master = newMasterOnly(o.Now)
	}
	if err := c.connect(ctx, o); err != nil {
		return nil, err
	}
	return c, nil
}

// connect opens the client that fits what the server says it is.
func (c *Conn) connect(ctx context.Context, o Options) error {
	// A little less than the timeout, so that the caller can still say so
	// within it.
	ctx, cancel := context.WithTimeout(ctx, c.timeout*9/10)
	defer cancel()
	quietClient()
	var err error
	if c.rdb, err = o.Connection.client(o.hooks(c.master)); err != nil {
		return err
	}
	c.server, err = hello(ctx, c.rdb)
	if _, named := c.rdb.(*redis.ClusterClient); err == nil && c.server.Mode == modeCluster && !named {
		err = c.reconnectAsCluster(ctx, o)
	}
	if c.master != nil && err == nil {
		c.master.saw(c.server)
	}
	c.enforceReads.Store(c.mayEnforceReads(o))
	if err == nil && c.server.Mode == modeSentinel {
		err = ErrSentinel
	}
	if err == nil && !c.server.AtLeast(6, 2) {
		err = fmt.Errorf("%w: it is %s %s, and %s or later is needed", ErrTooOld, c.server.Name, c.server.Version, MinVersion)
	}
	if err != nil {
		_ = c.rdb.Close()
		return fmt.Errorf("connecting to Redis at %s: %w", o.Connection.Redacted(), o.Connection.explain(ctx, err))
	}
	return nil
}

// reconnectAsCluster makes of a client of one server one of the cluster that it
// belongs to, whose slots it asks for. It asks none of the other nodes, so that one
// that cannot be reached fails only what it is needed for.
func (c *Conn) reconnectAsCluster(ctx context.Context, o Options) error {
	cluster, err := o.Connection.clusterClient(o.hooks(nil))
	if err != nil {
		return err
	}
	_ = c.rdb.Close()
	c.rdb = cluster
	return cluster.ForEachMaster(ctx, func(context.Context, *redis.Client) error { return nil })
}

// Close ends all connections.
func (c *Conn) Close() error { return c.rdb.Close() }

// Client sends commands; each goes through the hooks.
func (c *Conn) Client() redis.UniversalClient { return c.rdb }

// Server is what Redis said of itself when the connection was opened.
func (c *Conn) Server() Server { return c.server }

// Ping asks whether Redis answers.
func (c *Conn) Ping(ctx context.Context) error {
	err := c.rdb.Ping(ctx).Err()
	if err == nil {
		return nil
	}
	t, _ := c.connection.target()
	if explained := c.connection.explainReply(t, err); explained != nil {
		err = explained
	}
	return fmt.Errorf("asking Redis at %s for a sign of life: %w", c.connection.Redacted(), err)
}

// Refusal is why nothing may be changed here now: the server is a replica; nil if
// it may, or if nothing is to be changed anyway.
func (c *Conn) Refusal(ctx context.Context) error {
	if c.master == nil || c.server.Mode == modeCluster {
		return nil
	}
	return c.master.check(ctx, c.rdb.Process)
}

// Single is the client of the one server; without a cluster there is no other.
func (c *Conn) Single() *redis.Client {
	client, _ := c.rdb.(*redis.Client)
	return client
}

// Masters visits each master node in turn, or the one server.
func (c *Conn) Masters(ctx context.Context, visit func(ctx context.Context, node *redis.Client) error) error {
	cluster, ok := c.rdb.(*redis.ClusterClient)
	if !ok {
		return visit(ctx, c.Single())
	}
	nodes := make(chan *redis.Client, 1024)
	err := cluster.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
		nodes <- node
		return nil
	})
	close(nodes)
	for node := range nodes {
		if err != nil {
			break
		}
		err = visit(ctx, node)
	}
	return err
}

// Width is how many masters there are, at least 1, as far as is known without
// asking.
func (c *Conn) Width(ctx context.Context) int {
	n := 0
	// Where it fails, what is asked next says why.
	_ = c.Masters(ctx, func(context.Context, *redis.Client) error { n++; return nil })
	return max(1, n)
}
