package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/cleanup"
)

const (
	sessionCount = 1_000_000
	staleCount   = 100_000
)

// seedSessionsLua writes sessions of some 384 bytes.
//
// ARGV: layout, first number, last number, milliseconds of the update
const seedSessionsLua = `
local text = string.rep('x', 230)
for n = tonumber(ARGV[2]), tonumber(ARGV[3]) do
  local id, stream = string.format('session-%07d', n), string.format('car-%04d', n % 1000)
  if ARGV[1] == 'object' then
    redis.call('HSET', 'sessions', id, '{"streamSessionId":"' .. n .. '","streamName":"' .. stream ..
      '","streamPosition":"0-0","lastUpdated":' .. ARGV[4] .. ',"json":"{\\"state\\":2,\\"text\\":\\"' .. text .. '\\"}","tStart":1,"tEnd":2}')
  else
    redis.call('HSET', 'sessions:' .. id, 'streamSessionId', n, 'streamName', stream, 'streamPosition', '0-0',
      'lastUpdated', ARGV[4], 'json', text, 'tStart', 1, 'tEnd', 2)
  end
  redis.call('SADD', 'streams', stream)
end`

// seedSessions writes the sessions from first up to, not including, end.
func (l *lab) seedSessions(ctx context.Context, layout registry.Layout, first, end int, age time.Duration) error {
	const chunk = 1000
	ms := time.Now().Add(-age).UnixMilli()
	for ; first < end; first += chunk {
		err := l.rdb().Eval(ctx, seedSessionsLua, nil, string(layout), first, min(end, first+chunk)-1, ms).Err()
		if ignoreNil(err) != nil {
			return fmt.Errorf("seeding: %w", err)
		}
	}
	return nil
}

// cleanUp is one run of a fresh cleaner, as by the command once --force.
func cleanUp(ctx context.Context, b *buffer.Buffer) (cleanup.Report, error) {
	return cleanup.New(b, cleanup.Options{
		Limits: cleanup.Limits{ExpireAfter: cleanup.DefaultExpireAfter, RetireAfter: cleanup.DefaultRetireAfter},
		Guard:  cleanup.DefaultGuard, Force: true,
		Undo: cleanup.Undo{For: cleanup.DefaultUndoFor, MaxBytes: cleanup.DefaultUndoMaxBytes},
	}).Run(ctx)
}

// measureSessionsObject is a clean-up that finds nothing in one big Hash.
func measureSessionsObject(ctx context.Context, l *lab) ([]verdict, error) {
	return l.measureSessions(ctx, registry.Object, (*rawConn).walkHash)
}

// measureSessionsKeys is the same with a key for each session.
func measureSessionsKeys(ctx context.Context, l *lab) ([]verdict, error) {
	return l.measureSessions(ctx, registry.Keys, (*rawConn).walkKeys)
}

func (l *lab) measureSessions(ctx context.Context, layout registry.Layout, walk func(*rawConn) error) ([]verdict, error) {
	n := l.size(sessionCount)
	if err := l.seedSessions(ctx, layout, 0, n, 0); err != nil {
		return nil, err
	}
	raw := func(ctx context.Context) error { return l.raw(ctx, walk) }
	r, err := l.interleave(ctx, timed("raw", raw), l.cleanerSide("ours"))
	if err != nil {
		return nil, err
	}
	beside, err := l.passesBeside(ctx, func(ctx context.Context) error { _, err := l.cleaner(ctx); return err }, raw)
	if err != nil {
		return nil, err
	}
	ours, other, rss := r.median("ours", "s"), r.median("raw", "s"), r.max("ours", "rss MiB")
	work := fmt.Sprintf("nothing to do in %d sessions, %s", n, layout)
	neighbour := beside.worse("ours", work+", neighbour's p99", 1)
	neighbour.note += "; p99 beside the raw walk " + millis(beside.median("pipe", "p99"))
	return []verdict{
		{work: work, ours: seconds(ours), other: seconds(other) + " raw", ratio: ours / other, unit: "×", bound: 1.3},
		{work: work + ", memory", ours: fmt.Sprintf("%.0f MiB", rss), other: "-", ratio: rss, unit: "MiB", bound: 48, note: "largest of all runs"},
		neighbour,
	}, nil
}

// cleaner cleans up over the row's own connection.
func (l *lab) cleaner(ctx context.Context) (cleanup.Report, error) {
	if l.buffer == nil {
		var err error
		if l.buffer, err = open(ctx, l.server.URL()); err != nil {
			return cleanup.Report{}, err
		}
	}
	return cleanUp(ctx, l.buffer)
}

// cleanerMode is the argument that makes this program one clean-up.
const cleanerMode = "cleaner"

func (l *lab) cleanerSide(name string) side {
	return ownProcess(name, cleanerMode, l.server.URL())
}

func beCleaner(ctx context.Context, url string) error {
	return inOwnProcess(ctx, url, func(b *buffer.Buffer) error {
		_, err := cleanUp(ctx, b)
		return err
	})
}

// measureExpireObject removes a tenth of the sessions in one big Hash.
func measureExpireObject(ctx context.Context, l *lab) ([]verdict, error) {
	return l.measureExpire(ctx, registry.Object, func(ctx context.Context, id string) error {
		return errors.Join(l.rdb().HGet(ctx, "sessions", id).Err(), l.rdb().HDel(ctx, "sessions", id).Err())
	})
}

// measureExpireKeys does the same with a key for each session.
func measureExpireKeys(ctx context.Context, l *lab) ([]verdict, error) {
	return l.measureExpire(ctx, registry.Keys, func(ctx context.Context, id string) error {
		return errors.Join(l.rdb().HGet(ctx, "sessions:"+id, "lastUpdated").Err(), l.rdb().Unlink(ctx, "sessions:"+id).Err())
	})
}

func (l *lab) measureExpire(ctx context.Context, layout registry.Layout, naive func(ctx context.Context, id string) error) ([]verdict, error) {
	stale := l.size(staleCount)
	if err := l.seedSessions(ctx, layout, stale, l.size(sessionCount), 0); err != nil {
		return nil, err
	}
	r, err := l.interleave(ctx, l.expireSide(layout, stale), l.naiveExpireSide(layout, stale, naive), l.idleSide(2*time.Second), l.besideExpire(layout, stale))
	if err != nil {
		return nil, err
	}
	ours, other := r.median("ours", "s"), r.median("naive", "s")
	work := fmt.Sprintf("expiring %d sessions, %s", stale, layout)
	return []verdict{
		{work: work, ours: seconds(ours), other: seconds(other) + " naive", ratio: other / ours, unit: "× faster", bound: 10, atLeast: true,
			note: "a whole run, with its two walks: " + seconds(r.median("a run", "s"))},
		r.worse("a run", work+", neighbour's p99", 1),
	}, nil
}

// expireSide removes the stale sessions, which it has read before: the naive
// way knows them, too.
func (l *lab) expireSide(layout registry.Layout, stale int) side {
	return side{"ours", func(ctx context.Context) (figures, error) {
		if err := l.seedSessions(ctx, layout, 0, stale, 48*time.Hour); err != nil {
			return nil, err
		}
		b, err := open(ctx, l.server.URL())
		if err != nil {
			return nil, err
		}
		defer func() { _ = b.Close() }()
		var old []registry.Session
		limit := time.Now().Add(-24 * time.Hour)
		if err := b.WalkSessions(ctx, func(page []registry.Session) error {
			for _, s := range page {
				if s.Updated.Before(limit) {
					old = append(old, s)
				}
			}
			return nil
		}); err != nil {
			return nil, err
		}
		started := time.Now()
		ended, err := b.Expire(ctx, old, registry.Expiring{})
		took := time.Since(started)
		if err == nil && (len(ended) != stale || slices.ContainsFunc(ended, func(e registry.Expiry) bool { return !e.Removed })) {
			err = fmt.Errorf("not all of %d sessions were removed", stale)
		}
		return figures{"s": took.Seconds()}, err
	}}
}

func (l *lab) naiveExpireSide(layout registry.Layout, stale int, expire func(ctx context.Context, id string) error) side {
	return side{"naive", func(ctx context.Context) (figures, error) {
		if err := l.seedSessions(ctx, layout, 0, stale, 48*time.Hour); err != nil {
			return nil, err
		}
		started := time.Now()
		for n := range stale {
			if err := expire(ctx, fmt.Sprintf("session-%07d", n)); err != nil {
				return nil, err
			}
		}
		return figures{"s": time.Since(started).Seconds()}, nil
	}}
}

// besideExpire is a whole run that removes the stale sessions, beside a
// neighbour.
func (l *lab) besideExpire(layout registry.Layout, stale int) side {
	return side{"a run", func(ctx context.Context) (figures, error) {
		if err := l.seedSessions(ctx, layout, 0, stale, 48*time.Hour); err != nil {
			return nil, err
		}
		started := time.Now()
		seen, err := l.beside(ctx, func() error {
			report, err := l.cleaner(ctx)
			if err == nil && report.SessionsExpired != int64(stale) {
				err = fmt.Errorf("%d of %d sessions were removed", report.SessionsExpired, stale)
			}
			return err
		})
		found := seen.figures()
		found["s"] = time.Since(started).Seconds()
		return found, err
	}}
}
