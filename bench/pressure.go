package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/trim"
	"github.com/streamkeeper/streamkeeper/trim/sweep"
)

// measurePressure is what TRIM_PRESSURE costs in a run that finds nothing it may
// remove: while memory suffices, and while it is short and the largest streams
// are looked for among all.
func measurePressure(ctx context.Context, l *lab) ([]verdict, error) {
	streams := l.size(passStreams)
	if err := l.seedStreams(ctx, streams, 3); err != nil {
		return nil, err
	}
	run := func(pressure float64, maxmemory string) func(context.Context) (figures, error) {
		return func(ctx context.Context) (figures, error) {
			if err := l.rdb().ConfigSet(ctx, "maxmemory", maxmemory).Err(); err != nil {
				return nil, err
			}
			var seen latencies
			found, err := l.cpuOf(ctx, func() (err error) {
				seen, err = l.beside(ctx, func() error {
					_, err := l.trimWith(ctx, sweep.Options{
						Policies: trim.Policies{Default: trim.Policy{MaxLength: maxLength, MinAge: time.Hour}}, Pressure: pressure,
					})
					return err
				})
				return err
			})
			if err == nil {
				found["p99"], found["max"] = seen.P99, seen.Max
			}
			return found, err
		}
	}
	used, err := l.memory(ctx)
	if err != nil {
		return nil, err
	}
	enough, short := fmt.Sprint(4*used), fmt.Sprint(used*100/95)
	r, err := l.interleave(ctx, l.idleSide(time.Second),
		side{"off", run(0, enough)}, side{"enough", run(0.9, enough)}, side{"short", run(0.9, short)})
	if err != nil {
		return nil, err
	}
	cpu := func(side string) float64 { return r.median(side, "cpu s") }
	work := fmt.Sprintf("TRIM_PRESSURE over %d streams", streams)
	neighbour := r.worse("short", work+", memory is short, neighbour's p99", 1)
	neighbour.note += fmt.Sprintf("; Redis's CPU %s, wall %s", seconds(cpu("short")), seconds(r.median("short", "s")))
	return []verdict{
		{work: work + ", memory suffices, Redis's CPU", ours: seconds(cpu("enough")), other: seconds(cpu("off")) + " without", ratio: cpu("enough") / cpu("off"), unit: "×", bound: 1.1},
		neighbour,
	}, nil
}

func (l *lab) memory(ctx context.Context) (int64, error) {
	b, err := l.opened(ctx)
	if err != nil {
		return 0, err
	}
	used, _, err := b.Memory(ctx)
	return used, err
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
