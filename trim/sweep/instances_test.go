package sweep

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
	"github.com/streamkeeper/streamkeeper/trim"
)

const (
	instanceStreams = 12
	instanceMinAge  = 150 * time.Millisecond
	instancesLast   = time.Second
)

// TestTwoInstancesNeverRemoveWhatThePolicyKeeps lets two instances, each with its
// own connection, work on the same streams while a producer appends. Whatever
// they do, an entry may only go once it is older than the policy's MinAge and
// not among the newest MaxLength.
func TestTwoInstancesNeverRemoveWhatThePolicyKeeps(t *testing.T) {
	for _, p := range []trim.Policy{
		{MaxLength: 50, MinAge: instanceMinAge},
		{MaxLength: 50, MinAge: instanceMinAge, Exact: true},
		{MaxLength: 50, MaxAge: 2 * instanceMinAge, MinAge: instanceMinAge, Exact: true},
	} {
		t.Run(p.String(), func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, "--stream-node-max-entries", "10")
			ctx, stop := context.WithTimeout(t.Context(), instancesLast)
			defer stop()
			added := make([][]buffer.ID, instanceStreams)
			var work sync.WaitGroup
			var removed [2]int64
			for i := range removed {
				b := openBuffer(t, s.URL())
				work.Go(func() {
					tr := New(b, Options{Policies: trim.Policies{Default: p}})
					for ctx.Err() == nil {
						r, _ := tr.Run(context.WithoutCancel(ctx))
						removed[i] += r.EntriesRemoved
					}
				})
			}
			for ctx.Err() == nil {
				produce(t, s.Client, added)
				checkOldestEntries(t, s.Client, added, p)
			}
			work.Wait()
			checkOldestEntries(t, s.Client, added, p)
			gone := int64(0)
			for n, ids := range added {
				gone += int64(len(ids)) - s.Client.XLen(t.Context(), streamOf(n)).Val()
			}
			if gone != removed[0]+removed[1] || min(removed[0], removed[1]) == 0 {
				t.Errorf("%d entries are gone; the instances say that they removed %d", gone, removed)
			}
		})
	}
}

func streamOf(n int) string { return fmt.Sprintf("stream:car-%d", n) }

// produce appends a few entries to each stream.
func produce(t *testing.T, rdb *redis.Client, added [][]buffer.ID) {
	t.Helper()
	const each = 15
	cmds, err := rdb.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for n := range added {
			for range each {
				p.XAdd(t.Context(), &redis.XAddArgs{Stream: streamOf(n), Values: []string{"d", strings.Repeat("x", 30)}})
			}
			p.SAdd(t.Context(), "streams", strings.TrimPrefix(streamOf(n), "stream:"))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, cmd := range cmds {
		if add, ok := cmd.(*redis.StringCmd); ok {
			id, err := buffer.ParseID(add.Val())
			if err != nil {
				t.Fatal(err)
			}
			n := i / (each + 1)
			added[n] = append(added[n], id)
		}
	}
}

// firstAndTime reads a stream's oldest id, its length and the time at once.
var firstAndTime = redis.NewScript(`
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
local now = redis.call('TIME')
return {first and first[1] or '', redis.call('XLEN', KEYS[1]), now[1] * 1000 + math.floor(now[2] / 1000)}
`)

// checkOldestEntries finds out which entries are gone, and whether they might.
func checkOldestEntries(t *testing.T, rdb *redis.Client, added [][]buffer.ID, p trim.Policy) {
	t.Helper()
	for n, ids := range added {
		reply, err := firstAndTime.Run(t.Context(), rdb, []string{streamOf(n)}).Slice()
		if err != nil {
			t.Fatal(err)
		}
		length, now := reply[1].(int64), reply[2].(int64)
		gone := len(ids)
		if text := reply[0].(string); text != "" {
			first, err := buffer.ParseID(text)
			if err != nil {
				t.Fatal(err)
			}
			gone = slices.Index(ids, first)
		}
		if gone < 0 || int64(len(ids)-gone) != length {
			t.Fatalf("%s: %d entries are left of %d, the oldest is number %d", streamOf(n), length, len(ids), gone)
		}
		if gone == 0 {
			continue
		}
		if age := now - int64(ids[gone-1].Ms); age < p.MinAge.Milliseconds() {
			t.Fatalf("%s: an entry of %d ms is gone", streamOf(n), age)
		}
		if p.MaxAge == 0 && length < p.MaxLength {
			t.Fatalf("%s: %d entries are left, the policy keeps %d", streamOf(n), length, p.MaxLength)
		}
	}
}
