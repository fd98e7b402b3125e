package main

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/doctor"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/trim"
)

// doctorLua writes sessions as the protocol wants them, ten on each of the
// streams that [lab.seedStreams] made.
//
// ARGV: first number, last number, number of streams, ms and ns of the update
const doctorLua = `
local text = string.rep('x', 180)
for n = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  local id = string.format('session-%07d', n)
  redis.call('HSET', 'sessions', id, '{"streamSessionId":' .. n .. ',"streamName":"car-' .. string.format('%07d', n % tonumber(ARGV[3])) ..
    '","streamPosition":"0-0","lastUpdated":' .. ARGV[4] .. ',"json":"{\\"identity\\":\\"' .. id .. '\\",\\"state\\":\\"open\\",\\"text\\":\\"' .. text ..
    '\\"}","tStart":' .. ARGV[5] .. ',"tEnd":' .. ARGV[5] .. '}')
end
redis.call('SET', 'lastStreamSessionId', ARGV[2])`

// measureDoctor compares an examination of all with a clean-up that finds nothing,
// each in a process of its own, beside a neighbour.
func measureDoctor(ctx context.Context, l *lab) ([]verdict, error) {
	streams, sessions := l.size(passStreams), l.size(sessionCount)
	if err := l.seedStreams(ctx, streams, 2); err != nil {
		return nil, err
	}
	now, err := l.rdb().Time(ctx).Result()
	if err != nil {
		return nil, err
	}
	const chunk = 1000
	for first := 0; first < sessions; first += chunk {
		err := l.rdb().Eval(ctx, doctorLua, nil, first, first+chunk-1, streams, now.UnixMilli(), now.UnixNano()).Err()
		if ignoreNil(err) != nil {
			return nil, fmt.Errorf("seeding: %w", err)
		}
	}
	besides := func(name string, s side) side {
		return side{name, func(ctx context.Context) (figures, error) {
			var found figures
			seen, err := l.beside(ctx, func() (err error) {
				found, err = s.run(ctx)
				return err
			})
			for figure, v := range seen.figures() {
				if found != nil {
					found[figure] = v
				}
			}
			return found, err
		}}
	}
	r, err := l.interleave(ctx, l.cleanerSide("clean-up"), ownProcess("doctor", doctorMode, l.server.URL()))
	if err != nil {
		return nil, err
	}
	beside, err := l.interleave(ctx, l.idleSide(passWindow), besides("beside", ownProcess("doctor", doctorMode, l.server.URL())))
	if err != nil {
		return nil, err
	}
	ours, other, rss := r.median("doctor", "s"), r.median("clean-up", "s"), r.max("doctor", "rss MiB")
	work := fmt.Sprintf("doctor over %d streams and %d sessions", streams, sessions)
	return []verdict{
		{work: work, ours: seconds(ours), other: seconds(other) + " clean-up", ratio: ours / other, unit: "×", bound: 3},
		{work: work + ", memory", ours: fmt.Sprintf("%.0f MiB", rss), other: "-", ratio: rss, unit: "MiB", bound: 64, note: "largest of all runs"},
		beside.worse("beside", work+", neighbour's p99", 1),
	}, nil
}

// doctorMode is the argument that makes this program one examination.
const doctorMode = "doctor"

func beDoctor(ctx context.Context, url string) error {
	debug.SetGCPercent(100) // as the command does
	return inOwnProcess(ctx, url, func(b *buffer.Buffer) error {
		_, err := doctor.New(b, doctor.Options{
			Connection: redisconn.Connection{URL: url},
			Policies:   trim.Policies{Default: trim.Policy{MaxLength: trim.DefaultMaxLength}},
			Limits:     cleanup.Limits{ExpireAfter: cleanup.DefaultExpireAfter, RetireAfter: cleanup.DefaultRetireAfter},
		}).Examine(ctx)
		return err
	})
}
