package buffer

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// usedMemory is what Redis uses in all.
func usedMemory(t *testing.T, rdb *redis.Client) int64 {
	t.Helper()
	_, rest, _ := strings.Cut(rdb.Info(t.Context(), "memory").Val(), "used_memory:")
	text, _, _ := strings.Cut(rest, "\r\n")
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTheMemoryOfConsumerGroupsIsAboutWhatTheyTake(t *testing.T) {
	t.Parallel()
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		rdb, ctx := start(t).Client, t.Context()
		const entries = 5000
		pipe := rdb.Pipeline()
		for range entries {
			pipe.XAdd(ctx, &redis.XAddArgs{Stream: "stream:a", Values: []any{"id", 1, "data", "x"}})
		}
		pipe.XGroupCreate(ctx, "stream:a", "first", "0")
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}
		for what, c := range map[string]struct {
			counts GroupCounts
			add    func(pipe redis.Pipeliner, i int)
			n      int
		}{
			"groups": {GroupCounts{Groups: 2000}, func(p redis.Pipeliner, i int) { p.XGroupCreate(ctx, "stream:a", fmt.Sprint("group", i), "0") }, 2000},
			"consumers": {GroupCounts{Consumers: 2000}, func(p redis.Pipeliner, i int) {
				p.XGroupCreateConsumer(ctx, "stream:a", "first", fmt.Sprint("consumer", i))
			}, 2000},
			"pending entries": {GroupCounts{Consumers: 1, Pending: entries}, func(p redis.Pipeliner, _ int) {
				p.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "first", Consumer: "reader", Streams: []string{"stream:a", ">"}, Count: entries})
			}, 1},
		} {
			before := usedMemory(t, rdb)
			pipe := rdb.Pipeline()
			for i := range c.n {
				c.add(pipe, i)
			}
			if _, err := pipe.Exec(ctx); err != nil {
				t.Fatal(err)
			}
			if took, said := usedMemory(t, rdb)-before, c.counts.Memory(); said < took/2 || said > took*2 {
				t.Errorf("%s take %d bytes, and are said to take %d", what, took, said)
			}
		}
	})
}
