package jobs

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
	"github.com/streamkeeper/streamkeeper/trim"
	"github.com/streamkeeper/streamkeeper/trim/sweep"
)

func TestARunOfTrimEndsAfterOnePeriodOfItsSchedule(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	s.Client.SAdd(ctx, "streams", "car")
	pipe := s.Client.Pipeline()
	for range 4000 {
		pipe.XAdd(ctx, &redis.XAddArgs{Stream: "stream:car", Values: []string{"id", "1", "data", strings.Repeat("x", 8<<10)}})
	}
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	// Every call that removes takes so long that all of them would take many
	// periods.
	slow := redistest.StartProxy(t, s.Addr)
	slow.Set(func(command []string) redistest.Fault {
		if strings.EqualFold(command[0], "xtrim") {
			return redistest.Fault{Delay: 200 * time.Millisecond}
		}
		return redistest.Fault{}
	})
	b, err := buffer.Open(ctx, buffer.Options{Connection: redisconn.Connection{URL: slow.URL(), Timeout: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	run := func(schedule string) *TrimResult {
		t.Helper()
		options := Options{Trim: TrimOptions{
			When:    When{Enabled: true, Schedule: schedule},
			Options: sweep.Options{Policies: trim.Policies{Default: trim.Policy{MaxLength: 100}}},
		}}
		runner := NewRunner(Env{Options: options, Buffer: b, Metrics: NewMetrics(options, Process{}), Log: slog.New(slog.DiscardHandler)}, trimJob())
		result, err := runner.Run(ctx)
		if err != nil {
			t.Fatal(err)
		}
		trimmed, _ := result.(*TrimResult)
		return trimmed
	}
	first := run("@every 1s")
	if left := s.Client.XLen(ctx, "stream:car").Val(); first.EntriesRemoved == 0 || first.Backlog == 0 || first.Backlog != left-100 {
		t.Errorf("%+v, and %d entries are left", first, left)
	}
	slow.Set(nil)
	if second := run("@every 1h"); second.Backlog != 0 || s.Client.XLen(ctx, "stream:car").Val() > 200 {
		t.Errorf("the next run: %+v", second)
	}
}
