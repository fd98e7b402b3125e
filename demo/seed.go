package demo

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst"
)

// What nobody has cleaned up before the demo.
const (
	// deadStream is a stream that no session names any more.
	deadStream = Prefix + "car 7 · shakedown"
	// staleSession was never closed, on a stream that is still in use.
	staleSession = Prefix + "car 7 · installation lap"
	// deadFor and staleFor are how long ago the two were last written to.
	// The dead stream holds deadSpan of entries.
	deadFor  = 26 * time.Hour
	deadSpan = 10 * time.Second
	staleFor = 90 * time.Minute
)

// seedBatch is how many bursts go to Redis at once.
const seedBatch = 50

// Seed writes the past: the sessions that have been running for a while with
// nobody to trim their streams, a stream whose session is gone, and a session
// that was never closed. It is for an empty stream buffer: a past behind what
// is there already cannot be written.
func (p *Producers) Seed(ctx context.Context) error {
	now, err := p.redis.Time(ctx).Result()
	if err != nil {
		return fmt.Errorf("asking Redis for the time: %w", err)
	}
	dead := &session{
		role:  Role{Name: deadStream, Encoding: burst.Frame, Size: 2 << 10, Layout: registry.Keys},
		redis: p.redis, names: p.names,
	}
	if err := p.seedDead(ctx, dead, now); err != nil {
		return fmt.Errorf("writing a dead stream: %w", err)
	}
	if err := p.open(ctx, now, func(r Role) time.Duration { return r.Past }); err != nil {
		return err
	}
	for _, s := range p.sessions {
		if err := s.backlog(ctx, now.Add(-s.role.Past), now); err != nil {
			return err
		}
	}
	return p.seedStale(ctx, now)
}

// seedDead writes the stream of a session whose entry has expired since.
func (p *Producers) seedDead(ctx context.Context, dead *session, now time.Time) error {
	start := now.Add(-deadFor - deadSpan)
	if err := dead.open(ctx, start, 0); err != nil {
		return err
	}
	if err := dead.backlog(ctx, start, start.Add(deadSpan)); err != nil {
		return err
	}
	return p.redis.Del(ctx, dead.role.Layout.KeyOf(p.names.Sessions, dead.role.Name)).Err()
}

// seedStale registers the session that was never closed.
func (p *Producers) seedStale(ctx context.Context, now time.Time) error {
	first := p.sessions[0]
	stale := *first
	stale.role.Name = staleSession
	stale.telemetry = newTelemetry(stale.role, 0, now.Add(-staleFor-time.Minute))
	var err error
	if stale.id, err = p.redis.IncrBy(ctx, counterKey, 1).Result(); err != nil {
		return fmt.Errorf("taking a session id: %w", err)
	}
	e := stale.entry(now.Add(-staleFor))
	e.stream = first.role.Name
	pipe := p.redis.Pipeline()
	if err := register(ctx, pipe, p.names, stale.role.Layout, staleSession, e); err != nil {
		return err
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("registering the session %q: %w", staleSession, err)
	}
	return nil
}

// backlog writes the bursts of the time from start to end under the ids that
// they would have got then.
func (s *session) backlog(ctx context.Context, start, end time.Time) error {
	pipe := s.redis.Pipeline()
	for at := start; at.Before(end); at = at.Add(Interval) {
		if err := s.write(ctx, pipe, at, strconv.FormatInt(at.UnixMilli(), 10)+"-0"); err != nil {
			return err
		}
		if last := !at.Add(Interval).Before(end); !last && pipe.Len() < seedBatch {
			continue
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("writing the past of stream %q: %w", s.role.Name, err)
		}
	}
	return nil
}
