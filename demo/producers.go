package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// ErrForeign is returned where the set of streams holds a name that is not the
// demo's.
var ErrForeign = errors.New("this stream buffer is somebody else's")

// Options of the [Producers]; the zero value is the demo.
type Options struct {
	// Names of the keys; the zero value means [buffer.DefaultNames].
	Names buffer.Names
	// Cast are the producers; none means [Cast].
	Cast []Role
	// Log hears of a Redis that goes away and comes back; nil discards.
	Log *slog.Logger
}

// Producers fill a stream buffer as ingest processes would. Use them once:
// [Producers.CheckOurs], [Producers.Seed] if there is to be a past, then
// [Producers.Run].
type Producers struct {
	redis    redis.UniversalClient
	names    buffer.Names
	sessions []*session
}

// NewProducers makes producers that write through a client, which stays the
// caller's.
func NewProducers(client redis.UniversalClient, o Options) *Producers {
	if o.Names == (buffer.Names{}) {
		o.Names = buffer.DefaultNames
	}
	if len(o.Cast) == 0 {
		o.Cast = Cast()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Producers{redis: client, names: o.Names}
	for _, role := range o.Cast {
		p.sessions = append(p.sessions, &session{role: role, redis: client, names: o.Names, log: o.Log})
	}
	return p
}

// CheckOurs fails with [ErrForeign] where the set of streams holds a name that
// does not begin with [Prefix]: the producers do not write among real data. It
// only reads.
func (p *Producers) CheckOurs(ctx context.Context) error {
	iter := p.redis.SScan(ctx, p.names.Streams, 0, "", 0).Iterator()
	for iter.Next(ctx) {
		if name := iter.Val(); !strings.HasPrefix(name, Prefix) {
			return fmt.Errorf("%w: among its streams is '%s', and the demo's begin with '%s'", ErrForeign, buffer.Escape(name), Prefix)
		}
	}
	if err := iter.Err(); err != nil {
		return fmt.Errorf("reading the stream names in %q: %w", p.names.Streams, err)
	}
	return nil
}

// Run opens the sessions and lets them write until ctx ends, and then returns
// nil. It fails only if a session cannot be opened.
func (p *Producers) Run(ctx context.Context) error {
	err := p.open(ctx, time.Now(), func(Role) time.Duration { return 0 })
	if err != nil && ctx.Err() == nil {
		return err
	}
	var running sync.WaitGroup
	for _, s := range p.sessions {
		running.Go(func() { s.run(ctx) })
	}
	running.Wait()
	return nil
}

// open opens the sessions that are not open yet, each as if it had started at
// some time before now.
func (p *Producers) open(ctx context.Context, now time.Time, past func(Role) time.Duration) error {
	for i, s := range p.sessions {
		if s.id != 0 {
			continue
		}
		if err := s.open(ctx, now.Add(-past(s.role)), uint64(i)); err != nil {
			return fmt.Errorf("opening the session %q: %w", s.role.Name, err)
		}
	}
	return nil
}
