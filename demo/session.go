package demo

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// counterKey is the counter that session ids come from.
const counterKey = "lastStreamSessionId"

// announceEvery is how many bursts there are to one that carries the Session
// JSON, with which the registry is brought up to date: once a second, well
// within half of expireAfter.
const announceEvery = 10

// session is a role on the stage.
type session struct {
	role  Role
	redis redis.UniversalClient
	names buffer.Names
	log   *slog.Logger

	telemetry *telemetry
	rubbish   *rubbish // nil for a producer that knows its trade
	position  string
	id        int64 // 0 until it is open
	bursts    int
	failing   bool
}

// open does what a producer does once, at its start: it takes an id, lists the
// stream, and notes where the stream ends.
func (s *session) open(ctx context.Context, start time.Time, seed uint64) error {
	id, err := s.redis.IncrBy(ctx, counterKey, 1).Result()
	if err != nil {
		return fmt.Errorf("taking a session id: %w", err)
	}
	if err := s.redis.SAdd(ctx, s.names.Streams, s.role.Name).Err(); err != nil {
		return fmt.Errorf("listing stream %q: %w", s.role.Name, err)
	}
	last, err := s.redis.XRevRangeN(ctx, s.streamKey(), "+", "-", 1).Result()
	if err != nil {
		return fmt.Errorf("looking where stream %q ends: %w", s.role.Name, err)
	}
	s.position = "0-0"
	if len(last) > 0 {
		s.position = last[0].ID
	}
	s.telemetry = newTelemetry(s.role, seed, start)
	if s.role.Rubbish {
		s.rubbish = &rubbish{telemetry: s.telemetry}
	}
	s.id = id
	return nil
}

func (s *session) streamKey() string { return s.names.StreamKey(s.role.Name) }

// run writes a burst each Interval until ctx ends. Redis may be away meanwhile,
// as with any producer; the bursts of that time are lost.
func (s *session) run(ctx context.Context) {
	ticker := time.NewTicker(Interval)
	defer ticker.Stop()
	start := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			if s.role.silent(now.Sub(start)) {
				continue
			}
			s.outcome(ctx, s.step(ctx, now))
		}
	}
}

// outcome says once that Redis is away, and once that it is back.
func (s *session) outcome(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil || (err != nil) == s.failing:
	case err != nil:
		s.failing = true
		s.log.Warn("producer cannot write, trying again", "stream", buffer.Escape(s.role.Name), "error", err)
	default:
		s.failing = false
		s.log.Info("producer writes again", "stream", buffer.Escape(s.role.Name))
	}
}

// step writes the burst of one Interval, with an id that Redis gives it.
func (s *session) step(ctx context.Context, now time.Time) error {
	pipe := s.redis.Pipeline()
	if err := s.write(ctx, pipe, now, "*"); err != nil {
		return err
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("writing to stream %q: %w", s.role.Name, err)
	}
	return nil
}

// write queues the burst of one Interval and, now and then, the registry entry.
func (s *session) write(ctx context.Context, pipe redis.Pipeliner, now time.Time, id string) error {
	announce := s.bursts%announceEvery == 0
	values, err := s.fields(now, announce)
	if err != nil {
		return err
	}
	s.bursts++
	pipe.XAdd(ctx, &redis.XAddArgs{Stream: s.streamKey(), ID: id, Values: values})
	if announce {
		return register(ctx, pipe, s.names, s.role.Layout, s.role.Name, s.entry(now))
	}
	return nil
}

// fields are those of the message that is due at now.
func (s *session) fields(now time.Time, announce bool) ([]any, error) {
	id := strconv.FormatInt(s.id, 10)
	if s.rubbish != nil {
		return s.rubbish.fields(id, now)
	}
	data, err := s.telemetry.message(now, announce)
	return []any{"id", id, "data", data}, err
}

// entry is what the registry says of the session at now.
func (s *session) entry(now time.Time) entry {
	e := entry{
		id: s.id, stream: s.role.Name, position: s.position,
		updated: now.UnixMilli(), json: s.telemetry.sessionJSON(now),
		start: s.telemetry.start.UnixNano(), end: now.UnixNano(),
	}
	if s.rubbish != nil {
		// Not in milliseconds: nobody can tell how old it is.
		e.updated = now.UTC().Format(time.RFC3339)
	}
	return e
}
