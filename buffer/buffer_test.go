package buffer

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func open(t *testing.T, url string, change func(*Options)) *Buffer {
	t.Helper()
	o := Options{Connection: redisconn.Connection{URL: url}}
	if change != nil {
		change(&o)
	}
	b, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func TestOpenAsksWhatTheServerIs(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	b := open(t, s.URL(), nil)
	if got := b.Server(); got.Name != "redis" || got.Mode != "standalone" || got.Role != "master" || !got.AtLeast(6, 2) {
		t.Errorf("the server is %+v", got)
	}
	if err := b.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	m := miniredis.RunT(t)
	if got := open(t, "redis://"+m.Addr(), nil).Server().Name; got != "miniredis" {
		t.Errorf("the server is %q", got)
	}
}

func TestOpenFailsSoonAndSaysWhereRedisIsNot(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	_ = l.Close()
	for name, addr := range map[string]string{"nobody listens": l.Addr().String(), "nobody answers": silent.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Opening gives up when nine tenths are over: the last one is for a
			// busy machine.
			const timeout = 5 * time.Second
			started := time.Now()
			_, err := Open(t.Context(), Options{Connection: redisconn.Connection{URL: "redis://user:hush@" + addr, Timeout: timeout}})
			if err == nil {
				t.Fatal("it opened")
			}
			if took := time.Since(started); took > timeout {
				t.Errorf("it took %s", took)
			}
			if !strings.Contains(err.Error(), addr) || strings.Contains(err.Error(), "hush") {
				t.Errorf("the error is %q", err)
			}
			if class := redisconn.ClassOf(err); class != redisconn.ClassConnection && class != redisconn.ClassTimeout {
				t.Errorf("the class is %q", class)
			}
		})
	}
}

func TestAReadOnlyBufferSendsNoWrite(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	b := open(t, s.URL(), func(o *Options) { o.ReadOnly = true })
	ctx := t.Context()
	s.Client.XAdd(ctx, &redis.XAddArgs{Stream: "stream:a", ID: "5-1", Values: []string{"id", "1"}})
	s.Client.SAdd(ctx, "streams", "a")
	if err := s.ResetCalls(ctx); err != nil {
		t.Fatal(err)
	}
	writes := map[string]func() error{
		"trim": func() error { return firstOutcome(b.Trims(ctx, []TrimRequest{{Stream: "a", MaxLen: 0, Limit: 10}})) },
		"scripted": func() error {
			return firstOutcome(b.Trims(ctx, []TrimRequest{{Stream: "a", Exact: true, Limit: 10}}))
		},
		"retire":  func() error { _, err := b.Retire(ctx, "a", ID{5, 1}, GroupLimits{}); return err },
		"restore": func() error { return b.Restore(ctx, "a") },
		"expire": func() error {
			_, err := expire(ctx, b, []registry.Session{{Identity: "x", Layout: registry.Object}})
			return err
		},
		"lease": func() error { _, err := b.Lease().Acquire(ctx, "x", time.Second); return err },
		"left":  func() error { return b.SetLeft(ctx, StateFields{"a": 1}) },
	}
	for name, write := range writes {
		if err := write(); !errors.Is(err, redisconn.ErrReadOnly) {
			t.Errorf("%s: %v, want %v", name, err, redisconn.ErrReadOnly)
		}
	}
	if _, err := b.Infos(ctx, []string{"a"}); err != nil {
		t.Errorf("a read is refused: %v", err)
	}
	calls, err := s.CommandCalls(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, write := range []string{"xtrim", "eval", "evalsha", "unlink", "sadd", "srem", "set", "hset", "zadd"} {
		if calls[write] > 0 {
			t.Errorf("%s was called %d times", write, calls[write])
		}
	}
}

func firstOutcome(outcomes []TrimResult, err error) error {
	if err == nil {
		err = outcomes[0].Err
	}
	return err
}

func TestErrorsAreSortedAndCounted(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	var seen []redisconn.Class
	b := open(t, s.URL(), func(o *Options) { o.OnError = func(c redisconn.Class) { seen = append(seen, c) } })
	ctx := t.Context()
	s.Client.Set(ctx, "stream:text", "x", 0)
	lengths, err := b.Lengths(ctx, []string{"text", "none"})
	if err != nil {
		t.Fatal(err)
	}
	if redisconn.ClassOf(lengths[0].Err) != redisconn.ClassWrongType || lengths[1].Err != nil || lengths[1].Entries != 0 {
		t.Errorf("lengths: %+v", lengths)
	}
	if !slices.Equal(seen, []redisconn.Class{redisconn.ClassWrongType}) {
		t.Errorf("seen: %v", seen)
	}
	s.Kill()
	if _, err := b.Lengths(ctx, []string{"text"}); redisconn.ClassOf(err) != redisconn.ClassConnection {
		t.Errorf("class %q of %v", redisconn.ClassOf(err), err)
	}
}

func TestNowIsRedissTimeAndMistrustsALargeDifference(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	there := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	m.SetTime(there)
	here := there.Add(59 * time.Minute)
	b := open(t, "redis://"+m.Addr(), func(o *Options) { o.Now = func() time.Time { return here } })
	if now, err := b.Now(t.Context()); err != nil || !now.Equal(there) {
		t.Errorf("it is %s, %v", now, err)
	}
	for _, d := range []time.Duration{61 * time.Minute, -61 * time.Minute} {
		here = there.Add(d)
		if _, err := b.Now(t.Context()); !errors.Is(err, redisconn.ErrClock) || redisconn.ClassOf(err) != redisconn.ClassClock {
			t.Errorf("apart by %s: %v", d, err)
		}
		// Who removes nothing goes on.
		if now, err := b.Time(t.Context()); err != nil || !now.Equal(there) {
			t.Errorf("apart by %s it is %s, %v", d, now, err)
		}
		if _, err := b.Pauses(t.Context()); err != nil {
			t.Errorf("apart by %s: %v", d, err)
		}
	}
}

func TestScriptsAreSentAgainWhenTheServerForgotThem(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	b := open(t, s.URL(), nil)
	ctx := t.Context()
	for range 3 {
		s.Client.XAdd(ctx, &redis.XAddArgs{Stream: "stream:a", Values: []string{"id", "1"}})
		if err := s.Client.ScriptFlush(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		infos, err := b.Infos(ctx, []string{"a", "b"})
		if err != nil || infos[0].Length == 0 || infos[1].Type != "none" {
			t.Fatalf("%+v, %v", infos, err)
		}
	}
}

func TestInfosTellAllButPayloads(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	m := miniredis.RunT(t)
	for name, client := range map[string]*redis.Client{"real": s.Client, "miniredis": redis.NewClient(&redis.Options{Addr: m.Addr()})} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			add := func(id string) {
				client.XAdd(ctx, &redis.XAddArgs{Stream: "stream:a", ID: id, Values: []string{"id", "1", "data", strings.Repeat("x", 10_000)}})
			}
			add("1700000000000-1")
			add("1700000000001-0")
			add("1700000000002-5")
			client.XDel(ctx, "stream:a", "1700000000002-5")
			client.XGroupCreateMkStream(ctx, "stream:never", "g", "$")
			client.Set(ctx, "stream:text", "x", 0)
			b := open(t, "redis://"+client.Options().Addr, nil)
			infos, err := b.Infos(ctx, []string{"a", "never", "text", "none"})
			if err != nil {
				t.Fatal(err)
			}
			a := infos[0]
			if !a.Exists() || a.Length != 2 || a.LastID != (ID{1700000000002, 5}) || a.First != (ID{1700000000000, 1}) || a.Newest != (ID{1700000000001, 0}) || a.ActiveAgo >= 0 {
				t.Errorf("a: %+v", a)
			}
			if n := infos[1]; !n.Exists() || !n.LastID.IsZero() || n.Length != 0 {
				t.Errorf("never: %+v", n)
			}
			if infos[2].Type != "string" || infos[3].Type != "none" || infos[3].Exists() {
				t.Errorf("text and none: %+v", infos[2:])
			}
			if name == "miniredis" {
				return // it does not know when a consumer was active
			}
			client.XGroupCreate(ctx, "stream:a", "g", "0")
			client.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "g", Consumer: "c", Streams: []string{"stream:a", ">"}, Count: 1})
			infos, err = b.Infos(ctx, []string{"a"})
			if err != nil || infos[0].ActiveAgo < 0 || infos[0].ActiveAgo > time.Minute {
				t.Errorf("an active group: %+v, %v", infos, err)
			}
		})
	}
}

func TestWalkStreamsVisitsOursOnce(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	want := map[string]bool{"": true, "odd: name": true, "\xff\xfe": true, "glob*[x]?": true, "line\nbreak": true}
	for i := range 3000 {
		want[fmt.Sprintf("car-%d", i)] = true
	}
	for name := range want {
		s.Client.SAdd(ctx, "streams", name)
	}
	s.Client.SAdd(ctx, "streams", "theirs-1", "theirs-2")
	exclude, err := ParsePatterns("theirs-*")
	if err != nil {
		t.Fatal(err)
	}
	b := open(t, s.URL(), func(o *Options) { o.Exclude = exclude })
	seen := make(map[string]int)
	if err := b.WalkStreams(ctx, func(names []string) error {
		for _, name := range names {
			seen[name]++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for name := range want {
		if seen[name] != 1 {
			t.Errorf("%q was visited %d times", name, seen[name])
		}
	}
	if len(seen) != len(want) {
		t.Errorf("%d names were visited, want %d", len(seen), len(want))
	}
	stop := errors.New("stop")
	if err := b.WalkStreams(ctx, func([]string) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the visitor's error became %v", err)
	}
}
