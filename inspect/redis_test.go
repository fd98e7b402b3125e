package inspect

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/internal/corpus"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bytesSent is what Redis has sent to anyone so far.
func bytesSent(t *testing.T, s *redistest.Server) int64 {
	t.Helper()
	info, err := s.Client.InfoMap(t.Context(), "stats").Result()
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseInt(info["Stats"]["total_net_output_bytes"], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestMessagesOfTheCorpusAreJudgedThroughRedisAsItSays(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	wants := make(map[string]corpusMessage)
	for i, m := range corpus.Read[corpusMessage](t, corpus.Bursts) {
		add(t, s.Client, m.Name, millis(i), "id", i, "data", m.Data)
		wants[m.Name] = m
	}
	i := New(open(t, s.Addr), Options{})
	for range 2 { // the second time each encoding is known
		messages, report := inspectAll(t, i)
		if len(messages) != len(wants) || report.StreamsLeft != 0 {
			t.Errorf("%d messages judged of %d: %+v", len(messages), len(wants), report)
		}
		for _, m := range messages {
			if err := wants[m.Stream].agrees(m); err != nil {
				t.Errorf("%s: %v", m.Stream, err)
			}
		}
	}
}

func TestNothingIsWritten(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	for i := range 20 {
		add(t, s.Client, fmt.Sprint(i%5), millis(i), "id", i, "data", "x")
	}
	s.Client.HSet(ctx, "sessions:a", "streamSessionId", 1, "streamName", "1", "lastUpdated", 1)
	before := s.Client.Info(ctx, "persistence").Val()
	if err := s.ResetCalls(ctx); err != nil {
		t.Fatal(err)
	}
	for _, budget := range []int64{10, 1 << 20} {
		inspectAll(t, New(open(t, s.Addr), Options{Summaries: true, MaxBytes: budget}))
	}
	if changes := changesSinceSave(s.Client.Info(ctx, "persistence").Val()); changes != changesSinceSave(before) {
		t.Errorf("Redis counts %s changes, before %s", changes, changesSinceSave(before))
	}
	calls, err := s.CommandCalls(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, write := range []string{"eval", "evalsha", "set", "hset", "del", "unlink", "xadd", "xtrim", "xdel", "sadd", "srem", "expire"} {
		if calls[write] > 0 {
			t.Errorf("%s was sent %d times", write, calls[write])
		}
	}
}

func changesSinceSave(info string) string {
	_, rest, _ := strings.Cut(info, "rdb_changes_since_last_save:")
	line, _, _ := strings.Cut(rest, "\r\n")
	return line
}

// fill makes streams of messages of 32 KiB.
func fill(t *testing.T, s *redistest.Server, streams, messages int) (size int) {
	t.Helper()
	ctx := t.Context()
	data := payload(t, burst.SizePrefixedBlock, 32<<10)
	for i := range streams {
		name := fmt.Sprintf("stream %04d", i)
		pipe := s.Client.Pipeline()
		pipe.SAdd(ctx, "streams", name)
		for n := range messages {
			pipe.XAdd(ctx, &redis.XAddArgs{Stream: "stream:" + name, ID: millis(100*n + i), Values: []any{"id", i, "data", data}})
		}
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}
	}
	return len(data)
}

func TestRedisSendsHardlyMoreThanTheMessagesThatAreJudged(t *testing.T) {
	t.Parallel()
	streams := 300
	if testing.Short() {
		streams = 100
	}
	s := redistest.Start(t)
	size := fill(t, s, streams, 6)
	for name, budget := range map[string]int64{
		"all":                   1 << 30,
		"the newest":            int64(streams) * int64(size),
		"all, but rather tight": 3 * int64(streams) * int64(size+100),
	} {
		t.Run(name, func(t *testing.T) {
			i := New(open(t, s.Addr), Options{MaxBytes: budget})
			before := bytesSent(t, s)
			messages, report := inspectAll(t, i)
			sent := bytesSent(t, s) - before
			wanted := min(int64(3*streams), budget/int64(size+20))
			t.Logf("%d messages, %d bytes sent, %.4f of the messages' own", len(messages), sent, float64(sent)/float64(report.Bytes))
			if most := float64(int64(len(messages))*int64(size)) * 1.05; float64(sent) > most {
				t.Errorf("Redis sent %d bytes, %.0f allowed", sent, most)
			}
			if report.Bytes > budget {
				t.Errorf("%d bytes read, %d allowed", report.Bytes, budget)
			}
			if int64(len(messages)) < wanted*95/100 || report.Invalid > 0 {
				t.Errorf("%d messages judged, want %d: %+v", len(messages), wanted, report)
			}
		})
	}
}

// TestFiveHundredStreamsAreSampledWithinTheDefaultBudget: the sum that the guide
// promises one bad message in a thousand by.
func TestFiveHundredStreamsAreSampledWithinTheDefaultBudget(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("writes 80 MB")
	}
	s := redistest.Start(t)
	ctx := t.Context()
	data := payload(t, burst.SizePrefixedBlock, 16<<10-200)
	const streams = 500
	for i := range streams {
		pipe := s.Client.Pipeline()
		name := fmt.Sprintf("stream %04d", i)
		pipe.SAdd(ctx, "streams", name)
		for n := range DefaultSamples + 2 {
			pipe.XAdd(ctx, &redis.XAddArgs{Stream: "stream:" + name, ID: millis(100*n + i), Values: []any{"id", i, "data", data}})
		}
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}
	}
	_, report := inspectAll(t, New(open(t, s.Addr), Options{}))
	if report.Messages != streams*DefaultSamples || report.StreamsLeft != 0 || report.Bytes > DefaultMaxBytes {
		t.Errorf("messages of %d bytes: %+v", len(data), report)
	}
}

func TestAGiantMessageIsJudgedWithoutBeingSent(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	// Copying so much may take a busy machine seconds.
	const patience = 2 * time.Minute
	add(t, s.Client.WithTimeout(patience), "giant", millis(1), "id", 1, "data", bytes.Repeat([]byte{1}, 100<<20))
	add(t, s.Client, "good", millis(0), "id", 1, "data", payload(t, burst.Block, 1000))
	i := New(open(t, s.Addr, func(o *buffer.Options) { o.Connection.Timeout = patience }), Options{})
	before := bytesSent(t, s)
	messages, _ := inspectAll(t, i)
	if sent := bytesSent(t, s) - before; sent > 1<<20 {
		t.Errorf("%d bytes sent", sent)
	}
	if len(messages) != 2 {
		t.Fatalf("%d messages judged", len(messages))
	}
	for _, m := range messages {
		if (m.Stream == "giant") != m.has("too_large") {
			t.Errorf("%s: %s %s", m.Stream, m.Verdict, m.Reasons)
		}
	}
}

func TestALostConnectionEndsTheRun(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	fill(t, s, 40, 3)
	store := open(t, s.Addr)
	i := New(store, Options{})
	seen := 0
	_, err := i.Run(t.Context(), func(Message) {
		if seen++; seen == 1 {
			s.Kill()
		}
	})
	if err == nil || redisconn.ClassOf(err) != redisconn.ClassConnection || !redisconn.IsLost(err) {
		t.Errorf("error %v", err)
	}
	if seen >= 120 {
		t.Errorf("%d messages judged", seen)
	}
}

func TestACancelledRunEndsWithoutGoroutines(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	fill(t, s, 40, 3)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := New(open(t, s.Addr), Options{}).Run(ctx, func(Message) { cancel() })
	if err == nil {
		t.Error("the run did not end")
	}
}
