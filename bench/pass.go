package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/trim"
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
	r, err := l.interleave(ctx,
		timed("pipe", func(ctx context.Context) error { return l.pipe(ctx, input) }),
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
		{work: work, ours: seconds(ours), other: seconds(pipe) + " pipe", ratio: ours / pipe, unit: "×", bound: 2},
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
	const window = 2 * time.Second
	again := func(work func(context.Context) error) func(context.Context) (figures, error) {
		return func(ctx context.Context) (figures, error) {
			seen, err := l.beside(ctx, func() error {
				for started := time.Now(); time.Since(started) < window; {
					if err := work(ctx); err != nil {
						return err
					}
				}
				return nil
			})
			return seen.figures(), err
		}
	}
	return l.interleave(ctx, l.idleSide(window), side{"ours", again(pass)}, side{"pipe", again(pipe)})
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

// measureMillion compares a pass over ten times as many streams, each in a
// fresh process whose memory is looked at.
func measureMillion(ctx context.Context, l *lab) ([]verdict, error) {
	few := l.size(passStreams)
	if err := l.seedStreams(ctx, 10*few, 1); err != nil {
		return nil, err
	}
	// The smaller set lists a tenth of the names under the same key name in
	// another database, with streams of its own.
	if err := l.rdb().Do(ctx, "SWAPDB", 0, 1).Err(); err != nil {
		return nil, err
	}
	if err := l.seedStreams(ctx, few, 1); err != nil {
		return nil, err
	}
	input := commands(10*few, trimLength)
	r, err := l.interleave(ctx, l.keeperSide("few", "/0"), l.keeperSide("many", "/1"),
		timed("pipe few", func(ctx context.Context) error { return l.pipe(ctx, input[:len(input)/10]) }),
		timed("pipe many", func(ctx context.Context) error { return l.pipeInto(ctx, "1", input) }))
	if err != nil {
		return nil, err
	}
	pipeRatio := r.median("pipe many", "s") / (10 * r.median("pipe few", "s"))
	many, tenfold := r.median("many", "s"), 10*r.median("few", "s")
	rss := r.max("many", "rss MiB")
	work := fmt.Sprintf("pass over %d streams", 10*few)
	return []verdict{
		{work: work, ours: seconds(many), other: seconds(tenfold) + " = 10 small", ratio: many / tenfold, unit: "×", bound: 1.1,
			note: fmt.Sprintf("redis-cli --pipe needs %.2f × as long", pipeRatio)},
		{work: work + ", memory", ours: fmt.Sprintf("%.0f MiB", rss), other: "-", ratio: rss, unit: "MiB", bound: 64, note: "largest of all runs"},
	}, nil
}

// keeperMode is the argument that makes this program one pass over a server.
const keeperMode = "keeper"

func (l *lab) keeperSide(name, database string) side {
	return side{name, func(ctx context.Context) (figures, error) {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		out, err := exec.CommandContext(ctx, self, keeperMode, "redis://"+l.server.Addr+database).Output()
		if err != nil {
			return nil, fmt.Errorf("the keeper: %w", err)
		}
		found := figures{}
		return found, json.Unmarshal(out, &found)
	}}
}

// beKeeper makes one pass and prints how long it took and the most memory
// that this process ever held.
func beKeeper(ctx context.Context, url string) error {
	b, err := open(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()
	started := time.Now()
	if _, err := trim.New(b, trim.Options{Policies: trim.Policies{Default: trim.Policy{MaxLength: maxLength}}}).Run(ctx); err != nil {
		return err
	}
	took := time.Since(started)
	kib, err := peakMemory()
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(figures{"s": took.Seconds(), "rss MiB": kib / 1024})
}

func peakMemory() (kib float64, err error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(status, []byte("VmHWM:"))
	line, _, _ := strings.Cut(string(rest), " kB")
	return strconv.ParseFloat(strings.TrimSpace(line), 64)
}
