// Package buffer is the RTA stream buffer as it lies in Redis, and the only
// package that speaks to Redis.
//
// The layout is that of the public RTA developer documentation ("Streaming to
// Redis"): a Set names the streams, each stream is a Redis Stream under a
// prefix, and a Hash, or a Hash a session, locates the sessions. Everything
// that deletes does so by a command or a script that looks again, on the
// server, at what the decision was based on.
package buffer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Options say where the buffer is and what of it is ours.
type Options struct {
	// Connection says how to reach Redis.
	Connection Connection
	// Names of the keys; the zero value means [DefaultNames].
	Names Names
	// Layouts that sessions are looked for in; none means to detect them.
	Layouts []Layout
	// Include and Exclude choose the streams that are ours; an empty Include
	// takes in all.
	Include, Exclude Patterns
	// ReadOnly refuses every command that could write.
	ReadOnly bool
	// MaxStall is how long one call may hold up Redis: pages and slices keep
	// to it; 0 means [DefaultMaxStall].
	MaxStall time.Duration
	// OnError is told the class of each error that Redis or the way to it
	// gives; it must not block. Nil for nobody.
	OnError func(Class)
	// Now is this machine's clock, which is only compared with Redis's; nil
	// means time.Now.
	Now func() time.Time
	// Log takes what is worth saying about the connection; nil discards.
	Log *slog.Logger
}

// Server is what Redis says of itself in HELLO.
type Server struct {
	// Name is "redis", "valkey", …
	Name string
	// Version is the server's version, as "7.0.15".
	Version string
	// Mode is "standalone", "sentinel" or "cluster".
	Mode string
	// Role is "master" or "replica".
	Role string
}

// MinVersion is the oldest Redis that has what streamkeeper needs: XTRIM with
// MINID and LIMIT.
const MinVersion = "6.2"

// AtLeast reports whether the server's version is major.minor or later.
func (s Server) AtLeast(major, minor int) bool { return s.since(major, minor, 0) }

func (s Server) since(wanted ...int) bool {
	parts := strings.Split(s.Version, ".")
	for i, want := range wanted {
		have := 0
		if i < len(parts) {
			have, _ = strconv.Atoi(parts[i])
		}
		if have != want {
			return have > want
		}
	}
	return true
}

// trustsMinID reports whether MINID removes only what it should: before 6.2.7
// ids more than 24 days apart in one macro node overflow, and all of it goes
// (redis #9410).
func (s Server) trustsMinID() bool { return s.since(6, 2, 7) }

// DefaultMaxStall is short beside the 100 ms between two bursts of a session.
const DefaultMaxStall = time.Millisecond

// Buffer is an open stream buffer. Its methods may be used by several
// goroutines at once.
type Buffer struct {
	rdb     redis.UniversalClient
	server  Server
	names   Names
	layouts []Layout
	include Patterns
	exclude Patterns
	timeout time.Duration
	// maxStall is how long one call may hold up Redis.
	maxStall time.Duration
	clock    func() time.Time
	log      *slog.Logger
	// enforceReads has the server refuse writes in scripts that only read.
	enforceReads atomic.Bool
	// probes are keys of all slots of a cluster, for each prefix.
	probes sync.Map
}

// Open connects to Redis and asks what it is. It fails within the
// connection's timeout.
func Open(ctx context.Context, o Options) (*Buffer, error) {
	if o.Names == (Names{}) {
		o.Names = DefaultNames
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Connection.Timeout = orDefault(o.Connection.Timeout, DefaultTimeout)
	b := &Buffer{
		names: o.Names, layouts: o.Layouts, include: o.Include, exclude: o.Exclude,
		timeout: o.Connection.Timeout, maxStall: orDefault(o.MaxStall, DefaultMaxStall), clock: o.Now, log: o.Log,
	}
	if err := b.connect(ctx, o); err != nil {
		return nil, err
	}
	return b, nil
}

// connect opens the client that fits what the server says it is.
func (b *Buffer) connect(ctx context.Context, o Options) error {
	// A little less than the timeout, so that the caller can still say so
	// within it.
	ctx, cancel := context.WithTimeout(ctx, b.timeout*9/10)
	defer cancel()
	quietClient()
	var err error
	if b.rdb, err = o.Connection.client(o.hooks()); err != nil {
		return err
	}
	b.server, err = hello(ctx, b.rdb)
	if _, named := b.rdb.(*redis.ClusterClient); err == nil && b.server.Mode == "cluster" && !named {
		if err = b.reconnectAsCluster(o); err == nil {
			b.server, err = hello(ctx, b.rdb)
		}
	}
	b.enforceReads.Store(b.mayEnforceReads(o))
	if err == nil && !b.server.AtLeast(6, 2) {
		err = fmt.Errorf("%w: it is %s %s, and %s or later is needed", ErrTooOld, b.server.Name, b.server.Version, MinVersion)
	}
	if err != nil {
		_ = b.rdb.Close()
		return fmt.Errorf("connecting to Redis at %s: %w", o.Connection.Redacted(), cause(ctx, err))
	}
	return nil
}

// cause puts in words what a bare deadline leaves out.
func cause(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded) && errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer in time: %w", err)
	case strings.Contains(err.Error(), "SELECT is not allowed in cluster mode"):
		return fmt.Errorf("a Redis Cluster has database 0 only: %w", err)
	case strings.Contains(err.Error(), "cluster support disabled"):
		return fmt.Errorf("the URL names several servers as those of a cluster, and they are none: %w", err)
	}
	return err
}

// reconnectAsCluster makes of a client of one server one of the cluster that it
// belongs to.
func (b *Buffer) reconnectAsCluster(o Options) error {
	cluster, err := o.Connection.clusterClient(o.hooks())
	if err != nil {
		return err
	}
	_ = b.rdb.Close()
	b.rdb = cluster
	return nil
}

// helloTries is how many nodes of a cluster are asked, each chosen at random,
// before the dead ones among them keep us from starting.
const helloTries = 8

func hello(ctx context.Context, rdb redis.UniversalClient) (Server, error) {
	reply, err := rdb.Do(ctx, "HELLO", "2").Result()
	if _, ok := rdb.(*redis.ClusterClient); ok {
		for try := 1; try < helloTries && ClassOf(err) == ClassConnection; try++ {
			reply, err = rdb.Do(ctx, "HELLO", "2").Result()
		}
	}
	if err != nil {
		return Server{}, err
	}
	var s Server
	fields := map[string]*string{"server": &s.Name, "version": &s.Version, "mode": &s.Mode, "role": &s.Role}
	set := func(key, value any) {
		if k, ok := key.(string); ok {
			if into := fields[k]; into != nil {
				*into = fmt.Sprint(value)
			}
		}
	}
	switch reply := reply.(type) {
	case []any:
		for i := 0; i+1 < len(reply); i += 2 {
			set(reply[i], reply[i+1])
		}
	case map[any]any:
		for k, v := range reply {
			set(k, v)
		}
	}
	return s, nil
}

// Close ends all connections.
func (b *Buffer) Close() error { return b.rdb.Close() }

// Server is what Redis said of itself when the buffer was opened.
func (b *Buffer) Server() Server { return b.server }

// Names are the keys in use.
func (b *Buffer) Names() Names { return b.names }

// Ping asks whether Redis answers.
func (b *Buffer) Ping(ctx context.Context) error {
	if err := b.rdb.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("asking Redis for a sign of life: %w", err)
	}
	return nil
}

// Owns reports whether a stream is ours to look at and to change.
func (b *Buffer) Owns(stream string) bool {
	if len(b.include) > 0 && !b.include.all() && !b.include.Match(stream) {
		return false
	}
	return !b.exclude.Match(stream)
}

// single is the client of the one server; without a cluster there is no other.
func (b *Buffer) single() *redis.Client {
	client, _ := b.rdb.(*redis.Client)
	return client
}

// masters visits each master node in turn, or the one server.
func (b *Buffer) masters(ctx context.Context, visit func(ctx context.Context, node *redis.Client) error) error {
	cluster, ok := b.rdb.(*redis.ClusterClient)
	if !ok {
		return visit(ctx, b.single())
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

// width is how many masters there are, at least 1, as far as is known without
// asking.
func (b *Buffer) width(ctx context.Context) int {
	n := 0
	// Where it fails, what is asked next says why.
	_ = b.masters(ctx, func(context.Context, *redis.Client) error { n++; return nil })
	return max(1, n)
}

func orDefault[T comparable](value, byDefault T) T {
	var zero T
	if value == zero {
		return byDefault
	}
	return value
}
