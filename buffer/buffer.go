// Package buffer is the RTA stream buffer as it lies in Redis.
//
// The layout is that of the public RTA developer documentation ("Streaming to
// Redis"): a Set names the streams, each stream is a Redis Stream under a
// prefix, and a Hash, or a Hash a session, locates the sessions. Everything
// that deletes does so by a command or a script that looks again, on the
// server, at what the decision was based on.
package buffer

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// Options say where the buffer is and what of it is ours.
type Options struct {
	// Connection says how to reach Redis.
	Connection redisconn.Connection
	// Names of the keys; the zero value means [DefaultNames].
	Names Names
	// Layouts that sessions are looked for in; none means to detect them.
	Layouts []registry.Layout
	// JudgeForeign has entries of the registry that nothing marks as RTA's judged
	// like the others.
	JudgeForeign bool
	// Include and Exclude choose the streams that are ours; an empty Include
	// takes in all.
	Include, Exclude Patterns
	// ReadOnly refuses every command that could write.
	ReadOnly bool
	// MaxStall is how long one call may block Redis: pages and slices keep
	// to it; 0 means [DefaultMaxStall].
	MaxStall time.Duration
	// AllowReplica lets a replica be changed, which else is refused.
	AllowReplica bool
	// OnError is told the class of each error that Redis or the way to it
	// gives; it must not block. Nil for nobody.
	OnError func(redisconn.Class)
	// Now is this machine's clock, which is only compared with Redis's; nil
	// means time.Now.
	Now func() time.Time
	// Log takes what is worth saying about the buffer itself; nil discards.
	Log *slog.Logger
}

// DefaultMaxStall is short beside the 100 ms between two bursts of a session.
const DefaultMaxStall = time.Millisecond

// Buffer is an open stream buffer. Its methods may be used by several
// goroutines at once.
type Buffer struct {
	// The sessions of the buffer.
	*registry.Registry

	conn    *redisconn.Conn
	rdb     redis.UniversalClient
	server  redisconn.Server
	names   Names
	include Patterns
	exclude Patterns
	// only narrows them further; nil does not.
	only Patterns
	// named are the only streams; nil for all.
	named []string
	// maxStall is how long one call may block Redis.
	maxStall time.Duration
	scope    int64
	// work tells apart what instances work on; see [Instance].
	work string
	// address holds no secret; database is the number of the one in use.
	address  string
	database int
	log      *slog.Logger
	// longLease says once that somebody holds the lease for long.
	longLease *sync.Once
}

// Open connects to Redis and asks what it is. It fails within the
// connection's timeout.
func Open(ctx context.Context, o Options) (*Buffer, error) {
	conn, err := redisconn.Open(ctx, redisconn.Options{
		Connection: o.Connection, ReadOnly: o.ReadOnly, AllowReplica: o.AllowReplica, OnError: o.OnError, Now: o.Now,
	})
	if err != nil {
		return nil, err
	}
	names, maxStall := cmp.Or(o.Names, DefaultNames), cmp.Or(o.MaxStall, DefaultMaxStall)
	return &Buffer{
		Registry: registry.New(conn, registry.Options{
			Key: names.Sessions, Layouts: o.Layouts, Streams: names.Streams, State: names.StatePrefix, JudgeForeign: o.JudgeForeign, MaxStall: maxStall,
		}),
		conn: conn, rdb: conn.Client(), server: conn.Server(),
		names: names, include: o.Include, exclude: o.Exclude,
		maxStall: maxStall, scope: scopeOf(names, o), work: workOf(names, o),
		address: o.Connection.Redacted(), database: o.Connection.Database(), log: cmp.Or(o.Log, slog.New(slog.DiscardHandler)),
		longLease: new(sync.Once),
	}, nil
}

// Close ends all connections.
func (b *Buffer) Close() error { return b.conn.Close() }

// Server is what Redis said of itself when the buffer was opened.
func (b *Buffer) Server() redisconn.Server { return b.server }

// Ping asks whether Redis answers.
func (b *Buffer) Ping(ctx context.Context) error { return b.conn.Ping(ctx) }

// Target is where the buffer is, without any secret, and the number of its
// database.
func (b *Buffer) Target() (address string, database int) { return b.address, b.database }

// Only is the buffer with fewer streams: those that patterns choose, too.
func (b *Buffer) Only(patterns Patterns) *Buffer {
	narrowed := *b
	narrowed.only = patterns
	return &narrowed
}

// OnlyNames is the buffer with these streams alone. A scan of it asks for them by
// name, however many there are in all.
func (b *Buffer) OnlyNames(names []string) *Buffer {
	narrowed := *b
	narrowed.named = []string{}
	for _, name := range names {
		if b.Owns(name) && !slices.Contains(narrowed.named, name) {
			narrowed.named = append(narrowed.named, name)
		}
	}
	return &narrowed
}

// Refusal is why nothing may be changed here now; see [redisconn.Conn.Refusal].
func (b *Buffer) Refusal(ctx context.Context) error { return b.conn.Refusal(ctx) }

// Now is Redis's time; see [redisconn.Conn.Now].
func (b *Buffer) Now(ctx context.Context) (time.Time, error) { return b.conn.Now(ctx) }

// Time is Redis's time for who removes nothing by it; see [redisconn.Conn.Time].
func (b *Buffer) Time(ctx context.Context) (time.Time, error) { return b.conn.Time(ctx) }

// NodeOf is the address of the master that serves a stream, empty where there is
// one server only.
func (b *Buffer) NodeOf(ctx context.Context, stream string) (string, error) {
	return b.conn.NodeOf(ctx, b.names.StreamKey(stream))
}

// Names are the keys in use.
func (b *Buffer) Names() Names { return b.names }

// Owns reports whether a stream is ours to look at and to change.
func (b *Buffer) Owns(stream string) bool {
	if len(b.include) > 0 && !b.include.all() && !b.include.Match(stream) {
		return false
	}
	return !b.exclude.Match(stream) && (b.only == nil || b.only.Match(stream)) && (b.named == nil || slices.Contains(b.named, stream))
}

// Scope identifies the keys, layouts and patterns that counts of streams and
// sessions are of. Counts with different scopes cannot be compared.
func (b *Buffer) Scope() int64 { return b.scope }

func scopeOf(names Names, o Options) int64 {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%q %q %q %q", []string{names.Streams, names.StreamPrefix, names.Sessions}, o.Layouts, o.Include, o.Exclude)
	return int64(h.Sum64() >> 1)
}
