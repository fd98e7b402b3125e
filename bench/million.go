package main

import (
	"bytes"
	"context"
	"fmt"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/trim"
	"github.com/streamkeeper/streamkeeper/trim/sweep"
)

// measureMillion compares a pass over ten times as many streams, each in a
// fresh process whose memory is looked at.
func measureMillion(ctx context.Context, l *lab) ([]verdict, error) {
	few := l.size(passStreams)
	if err := l.seedStreams(ctx, 10*few, 1); err != nil {
		return nil, err
	}
	ordered, err := l.inTheSetsOrder(ctx)
	if err != nil {
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
	r, err := l.interleave(ctx, l.sweeperSide("few", "/0"), l.sweeperSide("many", "/1"),
		timed("pipe few", func(ctx context.Context) error { return l.pipe(ctx, input[:len(input)/10]) }),
		timed("pipe many", func(ctx context.Context) error { return l.pipeInto(ctx, "1", input) }),
		timed("pipe many, set's order", func(ctx context.Context) error { return l.pipeInto(ctx, "1", ordered) }))
	if err != nil {
		return nil, err
	}
	pipe, inOrder := r.median("pipe many", "s"), r.median("pipe many, set's order", "s")
	tenPipes := 10 * r.median("pipe few", "s")
	many, tenfold := r.median("many", "s"), 10*r.median("few", "s")
	rss := r.max("many", "rss MiB")
	work := fmt.Sprintf("pass over %d streams", 10*few)
	return []verdict{
		{work: work, ours: seconds(many), other: seconds(tenfold) + " = 10 small", ratio: many / tenfold, unit: "×", bound: 1.1,
			note: fmt.Sprintf("redis-cli --pipe: %.2f × of ten small, %.2f × in the order of the set", pipe/tenPipes, inOrder/tenPipes)},
		{work: work + ", memory", ours: fmt.Sprintf("%.0f MiB", rss), other: "-", ratio: rss, unit: "MiB", bound: 64, note: "largest of all runs"},
	}, nil
}

// inTheSetsOrder is a trimming command for each listed stream, in the order in
// which the set is walked: its hash table's, and so no order in memory.
func (l *lab) inTheSetsOrder(ctx context.Context) ([]byte, error) {
	var input bytes.Buffer
	names := l.rdb().SScan(ctx, "streams", 0, "", passStreams/100).Iterator()
	for names.Next(ctx) {
		writeCommand(&input, trimLength, "stream:"+names.Val())
	}
	return input.Bytes(), names.Err()
}

// sweeperMode is the argument that makes this program one pass over a server.
const sweeperMode = "sweeper"

func (l *lab) sweeperSide(name, database string) side {
	return ownProcess(name, sweeperMode, "redis://"+l.server.Addr+database)
}

func beSweeper(ctx context.Context, url string) error {
	return inOwnProcess(ctx, url, func(b *buffer.Buffer) error {
		sweeper := sweep.New(b, sweep.Options{Policies: trim.Policies{Default: trim.Policy{MaxLength: maxLength}}})
		_, err := sweeper.Run(ctx)
		return err
	})
}
