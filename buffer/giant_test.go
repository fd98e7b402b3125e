package buffer

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// makeGiant makes a dead stream of so many entries of so many bytes each, and
// lists it.
func makeGiant(t *testing.T, rdb *redis.Client, name string, entries, bytes int) {
	t.Helper()
	const fill = `local data = string.rep('x', ARGV[2])
for n = 1, tonumber(ARGV[1]) do redis.call('XADD', KEYS[1], '1500000000000-' .. n, 'id', 1, 'data', data) end
redis.call('XADD', KEYS[1], ARGV[3], 'id', 1, 'data', 'old')`
	err := rdb.Eval(t.Context(), fill, []string{"stream:" + name}, entries, bytes, deadID.String()).Err()
	if err != nil && !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	rdb.SAdd(t.Context(), "streams", name)
}

// watching is called before each call of unlinkScript, with its number from 1.
type watching func(call int) error

func (h *watching) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (h *watching) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (h *watching) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	calls := 0
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if slices.Contains(cmds[0].Args(), any(unlinkScript.SHA())) {
			calls++
			if err := (*h)(calls); err != nil {
				cmds[0].SetErr(err)
				return err
			}
		}
		return next(ctx, cmds)
	}
}

func memoryOf(t *testing.T, rdb *redis.Client, stream string) int64 {
	t.Helper()
	bytes, err := rdb.MemoryUsage(t.Context(), "stream:"+stream).Result()
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

func TestAGiantIsCutInSlicesBeforeItIsRemoved(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	warm(t, s)
	for _, tt := range []struct {
		name           string
		entries, bytes int
		stall          time.Duration
		slice          int64
	}{
		{"many small entries", 100_000, 120, 0, 512 << 10},
		{"entries with a macro node each", 1000, 16 << 10, 0, 512 << 10},
		{"entries larger than a slice", 20, 1 << 20, 0, 1100 << 10},
		{"a shorter stall", 400, 16 << 10, 250 * time.Microsecond, 128 << 10},
		{"a longer stall", 2000, 16 << 10, 4 * time.Millisecond, 2 << 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.Client.FlushAll(t.Context())
			makeGiant(t, s.Client, "x", tt.entries, tt.bytes)
			b := open(t, s.URL(), func(o *Options) { o.MaxStall = tt.stall })
			var sizes []int64
			watch := watching(func(int) error {
				sizes = append(sizes, memoryOf(t, s.Client, "x"))
				return nil
			})
			b.rdb.AddHook(&watch)
			if end, err := b.Retire(t.Context(), "x", deadID, GroupLimits{IdleAfter: retireAfter}); err != nil || end != Retired {
				t.Fatal(end, err)
			}
			// What the allocator adds to an entry is up to a quarter of it.
			for i := 1; i < len(sizes); i++ {
				if freed := sizes[i-1] - sizes[i]; freed <= 0 || freed > tt.slice*5/4 {
					t.Errorf("call %d frees %d bytes", i, freed)
				}
			}
			if last := sizes[len(sizes)-1]; last > tt.slice/4 {
				t.Errorf("UNLINK frees %d bytes", last)
			}
			t.Logf("%d bytes in %d calls, the last of %d", sizes[0], len(sizes), sizes[len(sizes)-1])
		})
	}
}

func TestAGiantThatChangesWhileItIsCutKeepsTheRest(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	warm(t, s)
	ctx := t.Context()
	for name, change := range map[string]func(){
		"an entry": func() {
			s.Client.XAdd(ctx, &redis.XAddArgs{Stream: "stream:x", Values: []any{"id", 1, "data", "fresh"}})
		},
		"a reader": func() {
			s.Client.XGroupCreate(ctx, "stream:x", "g", "0")
			s.Client.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "g", Consumer: "c", Streams: []string{"stream:x", ">"}, Count: 1})
		},
	} {
		// Entries of a megabyte are looked at in another way.
		for _, size := range []int{16 << 10, 1 << 20} {
			s.Client.FlushAll(ctx)
			makeGiant(t, s.Client, "x", 10<<20/size, size)
			b := open(t, s.URL(), nil)
			var left int64
			watch := watching(func(call int) error {
				if call == 4 {
					change()
					left = s.Client.XLen(ctx, "stream:x").Val()
				}
				return nil
			})
			b.rdb.AddHook(&watch)
			if end, err := b.Retire(ctx, "x", deadID, GroupLimits{IdleAfter: retireAfter}); !errors.Is(err, ErrPartly) || end != NotKnown {
				t.Errorf("%s, %d bytes: ends %v, %v", name, size, end, err)
			}
			if now := s.Client.XLen(ctx, "stream:x").Val(); now != left || left == 0 {
				t.Errorf("%s, %d bytes: %d entries when it came, %d now", name, size, left, now)
			}
			if got := stateOf(t, s.Client, "x"); got != (state{key: true, listed: true}) {
				t.Errorf("%s, %d bytes: %+v", name, size, got)
			}
		}
	}
}

func TestKilledBetweenSlicesALaterRunReachesTheEnd(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	warm(t, s)
	dead := errors.New("killed")
	makeGiant(t, s.Client, "x", 200, 16<<10)
	for calls := 1; ; calls++ {
		b := open(t, s.URL(), nil)
		watch := watching(func(call int) error {
			if call > 1 {
				return dead
			}
			return nil
		})
		b.rdb.AddHook(&watch)
		end, err := b.Retire(t.Context(), "x", deadID, GroupLimits{IdleAfter: retireAfter})
		if err == nil {
			if got := stateOf(t, s.Client, "x"); end != Retired || got != (state{remembered: true}) || calls < 5 {
				t.Errorf("after %d attempts: %v, %+v", calls, end, got)
			}
			return
		}
		if got := stateOf(t, s.Client, "x"); !errors.Is(err, dead) || got != (state{key: true, listed: true, remembered: true}) {
			t.Fatalf("attempt %d: %v, %+v", calls, err, got)
		}
	}
}

func TestWithoutMemoryAGiantGoesInSlicesToo(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	makeGiant(t, s.Client, "x", 1000, 16<<10)
	b := open(t, s.URL(), nil)
	fill(t, s)
	if end, err := b.Retire(t.Context(), "x", deadID, GroupLimits{IdleAfter: retireAfter}); err != nil || end != RetiredListed {
		t.Errorf("ends %v, %v", end, err)
	}
	calls, err := s.CommandCalls(t.Context())
	if err != nil || calls["xtrim"] < 20 {
		t.Errorf("%v, %v", calls, err)
	}
}

func TestTheRightsToCleanUpAreEnoughToCutAGiant(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	args := []any{"ACL", "SETUSER", "keeper", "on", ">secret"}
	words, _ := Uses{Job: true, Cleanup: true, Names: DefaultNames}.Rule()
	for _, word := range words {
		args = append(args, word)
	}
	if err := s.Client.Do(ctx, args...).Err(); err != nil {
		t.Fatal(err)
	}
	b := openAs(t, redisconn.Connection{URL: s.URL(), Username: "keeper", Password: "secret"})
	for _, size := range []int{16 << 10, 1 << 20} {
		makeGiant(t, s.Client, "x", 5<<20/size, size)
		if end, err := b.Retire(ctx, "x", deadID, GroupLimits{IdleAfter: retireAfter}); err != nil || end != Retired {
			t.Errorf("entries of %d bytes: ends %v, %v", size, end, err)
		}
	}
}
