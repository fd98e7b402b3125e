package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/trim"
)

const (
	duePeriod = 30 * time.Second
	// dueRuns are ten minutes, in which all streams are visited once.
	dueRuns = int(trim.DefaultVisitAll / duePeriod)
	// growingPart of the streams grow, each by so many entries a run.
	growingPart = 100
	growth      = 10
)

// growLua appends to streams.
//
// ARGV: number of the first, number of streams, entries each, bytes an entry
const growLua = `
local payload = string.rep('x', tonumber(ARGV[4]))
for n = tonumber(ARGV[1]), tonumber(ARGV[1]) + tonumber(ARGV[2]) - 1 do
  local key = 'stream:car-' .. string.format('%07d', n)
  for i = 1, tonumber(ARGV[3]) do redis.call('XADD', key, '*', 'type', '3', 'payload', payload) end
end`

// measureDue is trimming for ten minutes where one stream in a hundred grows,
// and where besides another one wakes in each run, so that all are visited.
func measureDue(ctx context.Context, l *lab) ([]verdict, error) {
	streams := l.size(passStreams)
	if err := l.seedStreams(ctx, streams, 3); err != nil {
		return nil, err
	}
	var verdicts []verdict
	for _, c := range []struct {
		what   string
		policy trim.Policy
		wake   bool
		bound  float64
	}{
		{"which have room", trim.Policy{MaxLength: 1_000_000}, false, 0.1},
		{"which are at their limit", trim.Policy{MaxLength: maxLength / 100}, false, 0.1},
		{"another wakes in each run", trim.Policy{MaxLength: 1_000_000}, true, 1.2},
		{"the same with length and age", trim.Policy{MaxLength: 1_000_000, MaxAge: 24 * time.Hour}, true, 1.2},
	} {
		due, err := l.newFollower(ctx, streams, c.policy, trim.DefaultVisitAll, c.wake)
		if err != nil {
			return nil, err
		}
		all, err := l.newFollower(ctx, streams, c.policy, 0, c.wake)
		if err != nil {
			return nil, err
		}
		r, err := l.interleave(ctx, side{"due", due.tenMinutes}, side{"all", all.tenMinutes})
		if err != nil {
			return nil, err
		}
		ours, other := r.median("due", "cpu s"), r.median("all", "cpu s")
		verdicts = append(verdicts, verdict{
			work: fmt.Sprintf("Redis's CPU for %d runs over %d streams, 1 %% grow, %s", dueRuns, streams, c.what),
			ours: seconds(ours), other: seconds(other) + " visiting all", ratio: ours / other, unit: "×", bound: c.bound,
			note: fmt.Sprintf("of ours %s in the run that visits all; %.0f visits instead of %.0f; wall %s and %s",
				seconds(r.median("due", "largest cpu s")), r.median("due", "visits"), r.median("all", "visits"),
				seconds(r.median("due", "s")), seconds(r.median("all", "s"))),
		})
	}
	return verdicts, nil
}

// follower is a trimmer that goes on from run to run, as the daemon's does, by
// a clock that is set.
type follower struct {
	*lab
	*trim.Trimmer
	clock   *clock
	streams int
	// wake: in each run another stream grows, the last one is asleep.
	wake   bool
	asleep int
}

// clock is the buffer at another time.
type clock struct {
	*buffer.Buffer
	now time.Time
}

func (c *clock) Now(context.Context) (time.Time, error) { return c.now, nil }

// newFollower makes a trimmer and lets it learn.
func (l *lab) newFollower(ctx context.Context, streams int, p trim.Policy, visitAll time.Duration, wake bool) (*follower, error) {
	b, err := l.opened(ctx)
	if err != nil {
		return nil, err
	}
	f := &follower{lab: l, clock: &clock{b, time.Now()}, streams: streams, wake: wake, asleep: streams - 1}
	f.Trimmer = trim.New(f.clock, trim.Options{Policies: trim.Policies{Default: p}, VisitAll: visitAll})
	for range 4 {
		if _, err := f.period(ctx); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// tenMinutes lets the streams grow and trims them, run after run.
func (f *follower) tenMinutes(ctx context.Context) (figures, error) {
	sum := make(figures)
	for range dueRuns {
		one, err := f.period(ctx)
		if err != nil {
			return nil, err
		}
		for name, v := range one {
			sum[name] += v
		}
		sum["largest cpu s"] = max(sum["largest cpu s"], one["cpu s"])
	}
	return sum, nil
}

// period is one run after the streams have grown; only the run is measured.
func (f *follower) period(ctx context.Context) (figures, error) {
	f.clock.now = f.clock.now.Add(duePeriod)
	if err := f.grow(ctx, 0, f.streams/growingPart); err != nil {
		return nil, err
	}
	if f.wake {
		f.asleep--
		if err := f.grow(ctx, f.asleep, 1); err != nil {
			return nil, err
		}
	}
	var r trim.Report
	found, err := f.cpuOf(ctx, func() (err error) {
		r, err = f.Run(ctx)
		if err == nil && r.Errors > 0 {
			err = fmt.Errorf("%d streams were not trimmed", r.Errors)
		}
		return err
	})
	if err == nil {
		found["visits"] = float64(r.Visited)
	}
	return found, err
}

func (f *follower) grow(ctx context.Context, first, streams int) error {
	err := ignoreNil(redis.NewScript(growLua).Run(ctx, f.rdb(), nil, first, streams, growth, listedEntryBytes).Err())
	if err != nil {
		return fmt.Errorf("growing: %w", err)
	}
	return nil
}

// cpuOf is how long work took, and what it cost Redis.
func (l *lab) cpuOf(ctx context.Context, work func() error) (figures, error) {
	before, err := l.redisCPU(ctx)
	if err != nil {
		return nil, err
	}
	started := time.Now()
	if err := work(); err != nil {
		return nil, err
	}
	took := time.Since(started)
	after, err := l.redisCPU(ctx)
	return figures{"s": took.Seconds(), "cpu s": after - before}, err
}

// redisCPU is what the server has used of the processor, in seconds.
func (l *lab) redisCPU(ctx context.Context) (sum float64, err error) {
	info, err := l.rdb().InfoMap(ctx, "cpu").Result()
	if err != nil {
		return 0, err
	}
	for name, text := range info["CPU"] {
		if name == "used_cpu_user" || name == "used_cpu_sys" {
			n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				return 0, fmt.Errorf("INFO cpu: %s: %w", name, err)
			}
			sum += n
		}
	}
	return sum, nil
}
