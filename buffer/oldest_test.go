package buffer

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// onBoth runs a test on a real server and on the embedded one.
func onBoth(t *testing.T, test func(t *testing.T, rdb *redis.Client, b *Buffer)) {
	m := miniredis.RunT(t)
	mini := redis.NewClient(&redis.Options{Addr: m.Addr(), Protocol: 2})
	defer mini.Close()
	s := redistest.Start(t)
	for name, rdb := range map[string]*redis.Client{"redis": s.Client, "miniredis": mini} {
		t.Run(name, func(t *testing.T) {
			b, err := Open(t.Context(), Options{Connection: redisconn.Connection{URL: "redis://" + rdb.Options().Addr}})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			test(t, rdb, b)
		})
	}
}

// scriptCalls is how many scripts a server has run.
func scriptCalls(t *testing.T, rdb *redis.Client) (calls int64) {
	t.Helper()
	for line := range strings.Lines(rdb.Info(t.Context(), "commandstats").Val()) {
		name, values, _ := strings.Cut(line, ":")
		if strings.HasPrefix(name, "cmdstat_eval") {
			var k int64
			_, _ = fmt.Sscanf(values, "calls=%d", &k)
			calls += k
		}
	}
	return calls
}

// No call reads a large entry after it has read enough.
func TestLargeEntriesAreLookedAtInCallsOfTheirOwn(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	b := openAs(t, redisconn.Connection{URL: s.URL()})
	const n = 12
	payload := strings.Repeat("x", 1<<20)
	looks := make([]OldestRequest, n)
	for i := range looks {
		looks[i] = OldestRequest{Stream: fmt.Sprint("s", i), Before: TimeID(time.Now()), Count: 1}
		for _, stream := range []string{fmt.Sprint("stream:s", i), "stream:one"} {
			if err := s.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: stream, ID: fmt.Sprintf("%d-0", i+1), Values: []string{"d", payload}}).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	scripts := func() int64 { return scriptCalls(t, s.Client) }
	before := scripts()
	found, err := b.Oldest(t.Context(), looks)
	if err != nil {
		t.Fatal(err)
	}
	for i, h := range found {
		if h.Err != nil || h.Old != 1 || h.EntryBytes < 1<<20 || h.First != (ID{Ms: uint64(i + 1)}) {
			t.Errorf("stream %d: %+v", i, h)
		}
	}
	if calls := scripts() - before; calls < n {
		t.Errorf("%d calls for %d streams", calls, n)
	}
	before = scripts()
	for most, want := range map[int64]int64{n + 5: n, 5: 5} {
		count, all, err := b.CountRange(t.Context(), Range{Stream: "one"}, CountLimit{Entries: most, Bytes: 1 << 30})
		if err != nil || count != want || all != (most > n) {
			t.Errorf("%d entries, all %t, %v; want %d", count, all, err, want)
		}
	}
	if calls := scripts() - before; calls < n+5 {
		t.Errorf("%d calls for %d entries", calls, n+5)
	}
}

// However many entries are counted, and however they lie in macro nodes, a call reads few
// of them and no large one after others.
func TestManyOldEntriesAreCountedInSmallCalls(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		s := start(t, "--stream-node-max-entries", "0", "--stream-node-max-bytes", "0")
		b := openAs(t, redisconn.Connection{URL: s.URL()})
		fill := func(name string, n int, size func(i int) int) {
			ids := make([]string, n)
			for i := range ids {
				ids[i] = fmt.Sprintf("%d-0", i+1)
			}
			redistest.AddEntries(t, s.Client, "stream:"+name, ids, size, "d")
		}
		large := func(int) int { return 100_000 }
		fill("large", 250, large)
		fill("large, later", 250, func(i int) int { return 10 + min(i/100, 1)*100_000 })
		fill("small", 1000, func(int) int { return 10 })
		fill("few", 30, large)
		for _, c := range []struct {
			stream           string
			count, old, made int64
		}{
			{"large", 200, 200, 200 / 3}, {"large, later", 200, 200, 1 + 100/3}, {"small", 200, 200, 2}, {"small", 1, 1, 1},
			{"few", 200, 30, 10}, {"few", 5, 5, 2},
		} {
			before := scriptCalls(t, s.Client)
			found, err := b.Oldest(t.Context(), []OldestRequest{{Stream: c.stream, Before: ID{Ms: 10_000}, Count: c.count}})
			if err != nil {
				t.Fatal(err)
			}
			h := found[0]
			if h.Err != nil || h.Old != c.old || h.First != (ID{Ms: 1}) || h.EntryBytes == 0 {
				t.Errorf("%s, %d of them: %+v", c.stream, c.count, h)
			}
			if made := scriptCalls(t, s.Client) - before; made < c.made || made > 2*c.made+3 {
				t.Errorf("%s, %d of them: %d calls, want about %d", c.stream, c.count, made, c.made)
			}
		}
		var looks []OldestRequest
		for i := range 3 * oldestPerCall {
			name := fmt.Sprint("s", i)
			fill(name, i+1, func(int) int { return 10 })
			looks = append(looks, OldestRequest{Stream: name, Before: ID{Ms: 50}, Count: 40})
		}
		found, err := b.Oldest(t.Context(), looks)
		if err != nil {
			t.Fatal(err)
		}
		for i, h := range found {
			if want := min(int64(i+1), 40); h.Err != nil || h.Old != want || h.Length != int64(i+1) || h.First != (ID{Ms: 1}) {
				t.Errorf("of %d entries, 49 at most of them old: %+v", i+1, h)
			}
		}
	})
}

func TestHeadsSayWhatIsOldWithoutSendingIt(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, rdb *redis.Client, b *Buffer) {
		now := time.Now()
		at := func(ago time.Duration) string { return TimeID(now.Add(-ago)).String() }
		add := func(stream string, bytes int, ids ...string) {
			for _, id := range ids {
				if err := rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:" + stream, ID: id, Values: []string{"d", strings.Repeat("x", bytes)}}).Err(); err != nil {
					t.Fatal(err)
				}
			}
		}
		add("old", 5000, at(2*time.Hour), at(0))
		add("young", 10, at(time.Minute))
		add("counters", 10, "9-0", "10-0")
		add("nanoseconds", 10, fmt.Sprintf("%d-0", now.UnixNano()))
		rdb.Set(t.Context(), "stream:text", "x", 0)
		names := []string{"old", "young", "counters", "nanoseconds", "text", "gone"}
		for n := range 2 * oldestPerCall {
			names = append(names, fmt.Sprintf("young-%d", n))
			add(names[len(names)-1], 10, at(0))
		}
		looks := make([]OldestRequest, len(names))
		for i, name := range names {
			looks[i] = OldestRequest{Stream: name, Before: TimeID(now.Add(-time.Hour)), Count: 5}
		}
		found, err := b.Oldest(t.Context(), looks)
		if err != nil {
			t.Fatal(err)
		}
		for i, h := range found {
			var want OldestResult
			switch names[i] {
			case "old":
				if h.EntryBytes < 5000 || h.EntryBytes > 12_000 {
					t.Errorf("an entry of 5000 bytes is said to take %d", h.EntryBytes)
				}
				want = OldestResult{Length: 2, Old: 1, First: TimeID(now.Add(-2 * time.Hour)), EntryBytes: h.EntryBytes}
			case "counters":
				want = OldestResult{Length: 2, Old: 2, First: ID{Ms: 9}, EntryBytes: h.EntryBytes}
			case "text":
				if redisconn.ClassOf(h.Err) != redisconn.ClassWrongType {
					t.Errorf("a text's error is %v", h.Err)
				}
				want = OldestResult{Err: h.Err}
			case "gone":
			default:
				want = OldestResult{Length: 1}
			}
			if h != want {
				t.Errorf("%s: %+v, want %+v", names[i], h, want)
			}
		}
	})
}

func TestTheLastIDStaysWhenItsEntryIsGone(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		s := start(t)
		ctx := t.Context()
		ahead := ID{Ms: 9_000_000_000_000, Seq: 7}
		s.Client.XAdd(ctx, &redis.XAddArgs{Stream: "stream:ahead", ID: ahead.String(), Values: []string{"d", "x"}})
		s.Client.XDel(ctx, "stream:ahead", ahead.String())
		s.Client.XGroupCreateMkStream(ctx, "stream:never", "g", "$")
		s.Client.Set(ctx, "stream:text", "x", 0)
		last, err := open(t, s.URL(), nil).LastIDs(ctx, []string{"ahead", "never", "text", "gone"})
		if err != nil || len(last) != 4 {
			t.Fatal(last, err)
		}
		if last[0] != (LastID{ID: ahead}) || last[1] != (LastID{}) || redisconn.ClassOf(last[2].Err) != redisconn.ClassWrongType || last[3] != (LastID{}) {
			t.Errorf("%+v", last)
		}
	})
}

func TestTrimsKeepTheirPromisesAlone(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, rdb *redis.Client, b *Buffer) {
		now := time.Now()
		fill := func() {
			rdb.FlushDB(t.Context())
			for n := range 300 {
				id := ID{Ms: uint64(now.UnixMilli()) - 300_000 + uint64(n)*1000}
				if err := rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:car", ID: id.String(), Values: []string{"d", "x"}}).Err(); err != nil {
					t.Fatal(err)
				}
			}
		}
		floor := TimeID(now.Add(-100 * time.Second)) // 200 entries lie below
		guard := &GroupLimits{IdleAfter: time.Hour}
		for _, c := range []struct {
			name string
			trim TrimRequest
			left int64
		}{
			{"exact length", TrimRequest{MaxLen: 42, Exact: true, Limit: 1000}, 42},
			{"exact length, bounded", TrimRequest{MaxLen: 42, Exact: true, Limit: 7}, 293},
			{"exact length, above a floor", TrimRequest{MaxLen: 42, Exact: true, Limit: 1000, MinAgeFloor: floor}, 100},
			{"exact id", TrimRequest{Before: floor, Exact: true, Limit: 1000}, 100},
			{"exact id, bounded", TrimRequest{Before: floor, Exact: true, Limit: 7}, 293},
			{"a length that is not reached", TrimRequest{MaxLen: 300, Exact: true, Limit: 1000}, 300},
			{"length, above a floor", TrimRequest{MaxLen: 100, Limit: 1000, MinAgeFloor: floor}, 100},
			{"a limit of nothing is one of 1", TrimRequest{MaxLen: 42, Exact: true}, 299},
			{"with groups looked at", TrimRequest{MaxLen: 100, Limit: 1000, Groups: guard}, 100},
		} {
			t.Run(c.name, func(t *testing.T) {
				fill()
				rdb.ScriptFlush(t.Context())
				c.trim.Stream = "car"
				gone := c.trim
				gone.Stream = "gone"
				out, err := b.Trims(t.Context(), []TrimRequest{gone, c.trim})
				if err != nil || out[0].Err != nil || out[1].Err != nil || out[0].Removed != 0 {
					t.Fatalf("%+v, %v", out, err)
				}
				if left := rdb.XLen(t.Context(), "stream:car").Val(); left != c.left || out[1].Removed != 300-left {
					t.Errorf("%d are left, want %d; %+v", left, c.left, out[1])
				}
			})
		}
	})
}

// Streams with different limits share no call, and each is asked by its own.
func TestEachStreamIsLookedAtByItsOwnLimit(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, rdb *redis.Client, b *Buffer) {
		var looks []OldestRequest
		for i := range 5 * oldestPerCall {
			name := fmt.Sprint("s", i)
			for ms := range 4 {
				rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:" + name, ID: fmt.Sprintf("%d-0", ms+1), Values: []string{"d", "x"}})
			}
			looks = append(looks, OldestRequest{Stream: name, Before: ID{Ms: uint64(1 + i%5)}, Count: int64(1 + i%3)})
		}
		found, err := b.Oldest(t.Context(), looks)
		if err != nil {
			t.Fatal(err)
		}
		for i, h := range found {
			if want := min(int64(looks[i].Before.Ms)-1, looks[i].Count); h.Err != nil || h.Length != 4 || h.Old != want {
				t.Errorf("of %+v %+v is told, want %d old entries", looks[i], h, want)
			}
		}
	})
}

// longest notes how many keys the commands of the longest pipeline had.
type longest struct{ keys int }

func (h *longest) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (h *longest) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (h *longest) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		keys := 0
		for _, cmd := range cmds {
			n, _ := strconv.Atoi(fmt.Sprint(cmd.Args()[2])) // EVALSHA, hash, keys
			keys += n
		}
		h.keys = max(h.keys, keys)
		return next(ctx, cmds)
	}
}

func TestSizesAreAskedOfAFewStreamsAtATime(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	b := open(t, s.URL(), nil)
	watch := &longest{}
	b.rdb.AddHook(watch)
	names := make([]string, 3*sizeBatch+1)
	for i := range names {
		names[i] = fmt.Sprint("car-", i)
		if i%2 == 0 { // the others are not there
			redistest.AddEntries(t, s.Client, "stream:"+names[i], []string{"1-1"}, func(int) int { return 100 * i }, "d")
		}
	}
	sizes, err := b.Sizes(t.Context(), names)
	if err != nil || len(sizes) != len(names) {
		t.Fatal(len(sizes), err)
	}
	for i, size := range sizes {
		if want := s.Client.MemoryUsage(t.Context(), "stream:"+names[i]).Val(); size != want || (want > 0) != (i%2 == 0) {
			t.Errorf("%s takes %d bytes, not %d", names[i], size, want)
		}
	}
	if watch.keys != sizeBatch {
		t.Errorf("up to %d sizes are asked at once", watch.keys)
	}
}
