package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/trim"
)

// backlog is one stream that fell far behind.
type backlog struct {
	entries, bytesEach int
	keep               int64
}

func measureSmallBacklog(ctx context.Context, l *lab) ([]verdict, error) {
	return l.measureBacklog(ctx, backlog{l.size(5_000_000), 120, maxLength})
}

func measureLargeBacklog(ctx context.Context, l *lab) ([]verdict, error) {
	return l.measureBacklog(ctx, backlog{l.size(90_000), 16 << 10, 100})
}

func (l *lab) measureBacklog(ctx context.Context, b backlog) ([]verdict, error) {
	if err := l.seedTemplate(ctx, b.entries, b.bytesEach); err != nil {
		return nil, err
	}
	ours := func(ctx context.Context) (int64, error) {
		report, err := l.trim(ctx, trim.Policy{MaxLength: b.keep})
		return report.EntriesRemoved, err
	}
	exact := func(ctx context.Context) (int64, error) {
		return l.rdb().XTrimMaxLen(ctx, "stream:giant", b.keep).Result()
	}
	fresh := func(ctx context.Context) error { return l.copyTemplate(ctx, []string{"giant"}) }
	r, err := l.interleave(ctx, l.idleSide(time.Second), l.backlogSide("ours", fresh, ours), l.backlogSide("exact", fresh, exact))
	if err != nil {
		return nil, err
	}
	return r.backlog(fmt.Sprintf("backlog of %d × %d B", b.entries, b.bytesEach)), nil
}

// backlog judges ours beside the exact way.
func (r results) backlog(work string) []verdict {
	stall := r.worse("ours", work+", neighbour's p99", 1)
	stall.note += fmt.Sprintf("; largest beside exact %s", millis(r.max("exact", "max")))
	rate, exactRate := r.median("ours", "entries/s"), r.median("exact", "entries/s")
	return []verdict{
		stall,
		{
			work: work + ", a call in Redis, p99", ours: millis(r.median("ours", "call p99")), other: millis(r.median("exact", "call p99")) + " exact",
			ratio: r.median("ours", "call p99"), unit: "ms", bound: 1,
		},
		{
			work: work + ", rate", ours: perSecond(rate), other: perSecond(exactRate) + " exact",
			ratio: 100 * rate / exactRate, unit: "%", bound: 25, atLeast: true,
		},
	}
}

// backlogSide works off a fresh copy of the backlog beside a neighbour.
func (l *lab) backlogSide(name string, fresh func(context.Context) error, work func(context.Context) (removed int64, err error)) side {
	return side{name, func(ctx context.Context) (figures, error) {
		if err := fresh(ctx); err != nil {
			return nil, err
		}
		if err := l.server.ResetCalls(ctx); err != nil {
			return nil, err
		}
		var removed int64
		var took time.Duration
		seen, err := l.beside(ctx, func() (err error) {
			started := time.Now()
			removed, err = work(ctx)
			took = time.Since(started)
			return err
		})
		if err != nil {
			return nil, err
		}
		found := seen.figures()
		found["entries/s"] = float64(removed) / took.Seconds()
		found["call p99"], err = l.callTime(ctx)
		return found, err
	}}
}

// callTime is the 99th percentile of XTRIM by Redis's own latency histogram,
// in milliseconds.
func (l *lab) callTime(ctx context.Context) (float64, error) {
	info, err := l.rdb().InfoMap(ctx, "latencystats").Result()
	if err != nil {
		return 0, err
	}
	for name, percentiles := range info["Latencystats"] {
		if !strings.HasSuffix(name, "_xtrim") {
			continue
		}
		var p50, p99, p999 float64
		_, err := fmt.Sscanf(percentiles, "p50=%f,p99=%f,p99.9=%f", &p50, &p99, &p999)
		return p99 / 1000, err
	}
	return 0, fmt.Errorf("no latency histogram of XTRIM")
}
