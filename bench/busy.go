package main

import (
	"context"
	"fmt"
	"time"

	"github.com/streamkeeper/streamkeeper/trim"
)

const (
	busyKeep    = 10
	busySurplus = 50
	busyBytes   = 4 << 10
)

// measureBusy is many streams that each have a little too much.
func measureBusy(ctx context.Context, l *lab) ([]verdict, error) {
	if err := l.seedTemplate(ctx, busyKeep+busySurplus, busyBytes); err != nil {
		return nil, err
	}
	streams := make([]string, l.size(20_000))
	for i := range streams {
		streams[i] = fmt.Sprintf("car-%07d", i)
	}
	want := int64(len(streams) * busySurplus)
	ours := func(ctx context.Context) (int64, error) {
		r, err := l.trim(ctx, trim.Policy{MaxLength: busyKeep})
		return r.EntriesRemoved, err
	}
	naive := func(ctx context.Context) (removed int64, err error) {
		for _, name := range streams {
			n, err := l.rdb().XTrimMaxLenApprox(ctx, "stream:"+name, busyKeep, 0).Result()
			if err != nil {
				return removed, err
			}
			removed += n
		}
		return removed, nil
	}
	input := commands(len(streams), fmt.Sprintf("XTRIM KEY MAXLEN ~ %d", busyKeep))
	r, err := l.interleave(ctx, l.idleSide(time.Second), l.busySide("ours", streams, want, ours), l.busySide("one a round trip", streams, want, naive),
		l.busySide("pipe", streams, want, func(ctx context.Context) (int64, error) { return want, l.pipe(ctx, input) }))
	if err != nil {
		return nil, err
	}
	ourTime, naiveTime := r.median("ours", "s"), r.median("one a round trip", "s")
	pipeTime := r.median("pipe", "s")
	work := fmt.Sprintf("%d busy streams, %d × %d B each", len(streams), busySurplus, busyBytes)
	return []verdict{
		{work: work, ours: seconds(ourTime), other: seconds(naiveTime) + " naive", ratio: naiveTime / ourTime, unit: "× faster", bound: 4, atLeast: true,
			note: fmt.Sprintf("redis-cli --pipe %s, %.1f × faster than naive", seconds(pipeTime), naiveTime/pipeTime)},
		r.worse("ours", work+", neighbour's p99", 1),
	}, nil
}

func (l *lab) busySide(name string, streams []string, want int64, work func(context.Context) (int64, error)) side {
	return side{name, func(ctx context.Context) (figures, error) {
		if err := l.copyTemplate(ctx, streams); err != nil {
			return nil, err
		}
		var took time.Duration
		seen, err := l.beside(ctx, func() error {
			started := time.Now()
			removed, err := work(ctx)
			took = time.Since(started)
			if err == nil && removed != want {
				err = fmt.Errorf("removed %d entries, want %d", removed, want)
			}
			return err
		})
		found := seen.figures()
		found["s"] = took.Seconds()
		return found, err
	}}
}
