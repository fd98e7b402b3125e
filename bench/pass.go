package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/streamkeeper/streamkeeper/trim"
	"github.com/streamkeeper/streamkeeper/trim/sweep"
)

const (
	passStreams = 100_000
	maxLength   = 10_000
	trimLength  = "XTRIM KEY MAXLEN ~ 10000"
)

// measurePass is a pass over streams that need nothing.
func measurePass(ctx context.Context, l *lab) ([]verdict, error) {
	streams := l.size(passStreams)
	if err := l.seedStreams(ctx, streams, 3); err != nil {
		return nil, err
	}
	policy := trim.Policy{MaxLength: maxLength}
	pass := func(ctx context.Context) error { _, err := l.trim(ctx, policy); return err }
	input := commands(streams, trimLength)
	ordered, err := l.inTheSetsOrder(ctx)
	if err != nil {
		return nil, err
	}
	r, err := l.interleave(ctx,
		timed("pipe", func(ctx context.Context) error { return l.pipe(ctx, input) }),
		timed("pipe, set's order", func(ctx context.Context) error { return l.pipe(ctx, ordered) }),
		timed("ours", pass),
		timed("one a round trip", func(ctx context.Context) error { return l.naivePass(ctx, streams) }),
	)
	if err != nil {
		return nil, err
	}
	ours, pipe, naive := r.median("ours", "s"), r.median("pipe", "s"), r.median("one a round trip", "s")
	beside, err := l.passesBeside(ctx, pass, func(ctx context.Context) error { return l.pipe(ctx, input) })
	if err != nil {
		return nil, err
	}
	work := fmt.Sprintf("pass over %d streams", streams)
	neighbour := beside.worse("ours", work+", neighbour's p99", 0.5)
	neighbour.note += "; p99 beside the pipe " + millis(beside.median("pipe", "p99"))
	return []verdict{
		{work: work, ours: seconds(ours), other: seconds(pipe) + " pipe", ratio: ours / pipe, unit: "×", bound: 2,
			note: fmt.Sprintf("%.2f × of the pipe in the order of the set", ours/r.median("pipe, set's order", "s"))},
		{work: work + ", naive", ours: seconds(ours), other: seconds(naive) + " naive", ratio: naive / ours, unit: "× faster", bound: 5, atLeast: true},
		neighbour,
	}, nil
}

func (l *lab) naivePass(ctx context.Context, streams int) error {
	for n := range streams {
		if err := l.rdb().XTrimMaxLenApprox(ctx, fmt.Sprintf("stream:car-%07d", n), maxLength, 0).Err(); err != nil {
			return err
		}
	}
	return nil
}

// passesBeside runs pass after pass, and pipe after pipe, for a while beside a
// neighbour.
func (l *lab) passesBeside(ctx context.Context, pass, pipe func(context.Context) error) (results, error) {
	return l.interleave(ctx, l.idleSide(passWindow), again(l, "ours", pass), again(l, "pipe", pipe))
}

// passWindow is how long work is repeated beside a neighbour.
const passWindow = 2 * time.Second

// again is a side that repeats its work beside a neighbour.
func again(l *lab, name string, work func(context.Context) error) side {
	return side{name, func(ctx context.Context) (figures, error) {
		seen, err := l.beside(ctx, func() error {
			for started := time.Now(); time.Since(started) < passWindow; {
				if err := work(ctx); err != nil {
					return err
				}
			}
			return nil
		})
		return seen.figures(), err
	}}
}

// idleSide is the neighbour on a server that has nothing else to do.
func (l *lab) idleSide(window time.Duration) side {
	return side{"idle", func(ctx context.Context) (figures, error) {
		seen, err := l.beside(ctx, func() error { time.Sleep(window); return nil })
		return seen.figures(), err
	}}
}

func (s latencies) figures() figures { return figures{"p50": s.P50, "p99": s.P99, "max": s.Max} }

// worse compares the p99 of a neighbour beside some work with one on an idle server.
func (r results) worse(side, work string, bound float64) verdict {
	ours, idle := r.median(side, "p99"), r.median("idle", "p99")
	return verdict{
		work: work, ours: millis(ours), other: millis(idle) + " idle", ratio: ours - idle, unit: "ms worse", bound: bound,
		note: fmt.Sprintf("largest %s, idle %s", millis(r.max(side, "max")), millis(r.max("idle", "max"))),
	}
}

// measurePassAge is the same pass with a policy of age beside that of length.
func measurePassAge(ctx context.Context, l *lab) ([]verdict, error) {
	streams := l.size(passStreams)
	if err := l.seedStreams(ctx, streams, 3); err != nil {
		return nil, err
	}
	policy := trim.Policy{MaxLength: maxLength, MaxAge: time.Hour}
	limit := strconv.FormatInt(time.Now().Add(-time.Hour).UnixMilli(), 10)
	input := commands(streams, trimLength, "XTRIM KEY MINID ~ "+limit)
	r, err := l.interleave(ctx,
		timed("pipe", func(ctx context.Context) error { return l.pipe(ctx, input) }),
		timed("ours", func(ctx context.Context) error { _, err := l.trim(ctx, policy); return err }),
	)
	if err != nil {
		return nil, err
	}
	ours, pipe := r.median("ours", "s"), r.median("pipe", "s")
	return []verdict{{
		work: fmt.Sprintf("pass over %d streams, length and age", streams),
		ours: seconds(ours), other: seconds(pipe) + " pipe", ratio: ours / pipe, unit: "×", bound: 2,
	}}, nil
}

// measurePassBytes is that pass with a limit of bytes beside the others: by an
// instance that knows how large the streams are, and by one that begins.
func measurePassBytes(ctx context.Context, l *lab) ([]verdict, error) {
	streams := l.size(passStreams)
	if err := l.seedStreams(ctx, streams, 3); err != nil {
		return nil, err
	}
	b, err := l.opened(ctx)
	if err != nil {
		return nil, err
	}
	policy := trim.Policy{MaxLength: maxLength, MaxAge: time.Hour}
	withBytes := policy
	withBytes.MaxBytes = 64 << 20
	known := sweep.New(b, sweep.Options{Policies: trim.Policies{Default: withBytes}})
	if _, err := known.Run(ctx); err != nil {
		return nil, err
	}
	r, err := l.interleave(ctx,
		timed("length and age", func(ctx context.Context) error { _, err := l.trim(ctx, policy); return err }),
		timed("bytes", func(ctx context.Context) error { _, err := known.Run(ctx); return err }),
		timed("bytes, first run", func(ctx context.Context) error { _, err := l.trim(ctx, withBytes); return err }),
	)
	if err != nil {
		return nil, err
	}
	without, with, first := r.median("length and age", "s"), r.median("bytes", "s"), r.median("bytes, first run", "s")
	return []verdict{{
		work: fmt.Sprintf("pass over %d streams, bytes too", streams),
		ours: seconds(with), other: seconds(without) + " without", ratio: with / without, unit: "×", bound: 1.3,
		note: fmt.Sprintf("the first run measures all: %s, %.2f ×", seconds(first), first/without),
	}}, nil
}
