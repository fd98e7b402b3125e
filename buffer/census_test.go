package buffer

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func census(t *testing.T, b *Buffer, names ...string) Census {
	t.Helper()
	c, err := b.Census(t.Context(), names)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func add(t *testing.T, rdb redis.Cmdable, name string, n int) {
	t.Helper()
	if _, err := rdb.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for range n {
			p.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:" + name, Values: []string{"d", "x"}})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestACensusCountsWhatIsAppendedByWhateverWay(t *testing.T) {
	s := redistest.Start(t)
	b := openAs(t, Connection{URL: s.URL()})
	ctx, rdb := t.Context(), s.Client
	add(t, rdb, "a", 3)
	before := census(t, b, "a")
	for _, c := range []struct {
		way  string
		do   func()
		want int64
	}{
		{"nothing at all", func() {}, 0},
		{"XADD", func() { add(t, rdb, "a", 5) }, 5},
		{"XADD in a transaction", func() {
			if _, err := rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
				p.XAdd(ctx, &redis.XAddArgs{Stream: "stream:b", Values: []string{"d", "x"}})
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}, 1},
		{"XADD in a script", func() {
			if err := rdb.Eval(ctx, "redis.call('XADD', KEYS[1], '*', 'd', 'x') return 1", []string{"elsewhere"}).Err(); err != nil {
				t.Fatal(err)
			}
		}, 1},
		{"XADD that fails, which is counted to be sure", func() {
			if err := rdb.XAdd(ctx, &redis.XAddArgs{Stream: "stream:a", ID: "1-1", Values: []string{"d", "x"}}).Err(); err == nil {
				t.Fatal("an old id was taken")
			}
		}, 1},
		{"what removes", func() { rdb.XTrimMaxLen(ctx, "stream:a", 1); rdb.Del(ctx, "elsewhere") }, 0},
	} {
		c.do()
		after := census(t, b, "a")
		got, ok := after.After.Since(before.After)
		if !ok || got != c.want {
			t.Errorf("%s: %d appended, %v; want %d", c.way, got, ok, c.want)
		}
		if n, ok := after.After.Since(after.Before); !ok || n != 0 {
			t.Errorf("%s: %d appended between two readings of one instant", c.way, n)
		}
		before = after
	}
}

func TestACensusHasTheLengthsAndTheNumberOfNames(t *testing.T) {
	s := redistest.Start(t)
	b := openAs(t, Connection{URL: s.URL()}, func(o *Options) { o.Exclude = mustPatterns(t, "other") })
	s.Client.SAdd(t.Context(), "streams", "a", "b", "other")
	s.Client.Set(t.Context(), "stream:text", "x", 0)
	add(t, s.Client, "a", 3)
	// More than are asked at one instant.
	many := []string{"a", "text", "none"}
	for len(many) < 2*censusAtOnce {
		many = append(many, "none")
	}
	for _, names := range [][]string{many[:3], many} {
		c := census(t, b, names...)
		if c.Names != 3 || len(c.Lengths) != len(names) {
			t.Fatalf("%d names, %d lengths", c.Names, len(c.Lengths))
		}
		if c.Lengths[0] != (Length{Entries: 3}) || ClassOf(c.Lengths[1].Err) != ClassWrongType || c.Lengths[2] != (Length{}) {
			t.Errorf("the lengths are %v", c.Lengths[:3])
		}
		if _, ok := c.After.Since(c.Before); !ok {
			t.Error("one census does not compare with itself")
		}
	}
}

func mustPatterns(t *testing.T, text string) Patterns {
	t.Helper()
	p, err := ParsePatterns(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWhereAStreamMayHaveGrownUnseenNothingIsSaid(t *testing.T) {
	for _, c := range []struct {
		what string
		do   func(*testing.T, *redistest.Server)
	}{
		{"the counts begin anew", func(t *testing.T, s *redistest.Server) { s.Client.ConfigResetStat(t.Context()) }},
		{"they do, and grow past what they were", func(t *testing.T, s *redistest.Server) {
			s.Client.ConfigResetStat(t.Context())
			add(t, s.Client, "a", 100)
		}},
		{"the server is started anew", func(t *testing.T, s *redistest.Server) {
			s.Kill()
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
		}},
		{"a stream is copied", func(t *testing.T, s *redistest.Server) { s.Client.Copy(t.Context(), "stream:a", "stream:b", 0, true) }},
		{"a stream is renamed", func(t *testing.T, s *redistest.Server) { s.Client.Rename(t.Context(), "stream:a", "stream:b") }},
		{"a stream is restored", func(t *testing.T, s *redistest.Server) {
			dump, err := s.Client.Dump(t.Context(), "stream:a").Result()
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Client.RestoreReplace(t.Context(), "stream:b", 0, dump).Err(); err != nil {
				t.Fatal(err)
			}
		}},
		{"it has the data of another server", func(t *testing.T, s *redistest.Server) {
			other := redistest.Start(t)
			add(t, other.Client, "a", 100)
			host, port, _ := strings.Cut(other.Addr, ":")
			if err := s.Client.ReplicaOf(t.Context(), host, port).Err(); err != nil {
				t.Fatal(err)
			}
			redistest.Await(t, "the data", func() bool { return s.Client.XLen(t.Context(), "stream:a").Val() == 100 })
			if err := s.Client.ReplicaOf(t.Context(), "NO", "ONE").Err(); err != nil {
				t.Fatal(err)
			}
		}},
		{"another database takes the place", func(t *testing.T, s *redistest.Server) { s.Client.Do(t.Context(), "SWAPDB", 0, 1) }},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := redistest.Start(t)
			b := openAs(t, Connection{URL: s.URL()})
			add(t, s.Client, "a", 10)
			before := census(t, b)
			c.do(t, s)
			if n, ok := census(t, b).After.Since(before.After); ok {
				t.Errorf("it says that %d were appended", n)
			}
		})
	}
	if _, ok := (Appends{}).Since(Appends{}); ok {
		t.Error("nothing compares with nothing")
	}
}

func TestTheMastersOfAClusterAreCountedTogether(t *testing.T) {
	c := redistest.StartCluster(t, 3, false)
	b := openAs(t, Connection{URL: c.URL()})
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{c.Masters[0].Addr}})
	t.Cleanup(func() { _ = rdb.Close() })
	rdb.SAdd(t.Context(), "streams", "a", "b")
	var names []string
	for i := range 12 {
		names = append(names, fmt.Sprint("car ", i))
	}
	before := census(t, b, names...)
	for i, name := range names {
		add(t, rdb, name, i)
	}
	after := census(t, b, names...)
	if n, ok := after.After.Since(before.Before); !ok || n != 66 {
		t.Errorf("%d were appended, %v; want 66", n, ok)
	}
	for i := range names {
		if after.Lengths[i] != (Length{Entries: int64(i)}) {
			t.Errorf("%s: %v", names[i], after.Lengths[i])
		}
	}
	if after.Names != 2 {
		t.Errorf("%d names", after.Names)
	}
}

func TestACensusIsNotHadWhereNothingIsCounted(t *testing.T) {
	m := miniredis.RunT(t)
	b := openAs(t, Connection{URL: "redis://" + m.Addr()})
	if _, err := b.Census(t.Context(), nil); !errors.Is(err, ErrUncounted) {
		t.Errorf("miniredis: %v", err)
	}
	hidden := redistest.Start(t, "--rename-command", "INFO", "HIDDEN")
	b = openAs(t, Connection{URL: hidden.URL()})
	for _, names := range [][]string{{"a"}, nil, {"a"}} {
		// Where no script may ask, a pipeline does.
		if _, err := b.Census(t.Context(), names); !errors.Is(err, ErrUncounted) || len(names) > 0 && !b.noScriptInfo.Load() {
			t.Errorf("INFO under another name: %v", err)
		}
	}
	s := redistest.Start(t)
	if err := s.Client.Do(t.Context(), "ACL", "SETUSER", "narrow", "on", ">secret", "~*", "+@all", "-info").Err(); err != nil {
		t.Fatal(err)
	}
	var seen []Class
	b = openAs(t, Connection{URL: s.URL(), Username: "narrow", Password: "secret"}, func(o *Options) { o.OnError = func(c Class) { seen = append(seen, c) } })
	for _, n := range []int{0, 2 * censusAtOnce, 3} {
		if n == 3 && len(seen) > 0 {
			t.Errorf("a right that may be missing counts as an error: %v", seen)
		}
		if _, err := b.Census(t.Context(), make([]string, n)); !errors.Is(err, ErrUncounted) || ClassOf(err) != ClassAuth || !strings.Contains(err.Error(), "+info") {
			t.Errorf("%d streams: %v", n, err)
		}
	}
}

func FuzzInfo(f *testing.F) {
	f.Add("# Server\r\nrun_id:abc\r\n# Replication\r\nmaster_replid:def\r\n# Commandstats\r\ncmdstat_xadd:calls=3,usec=10,usec_per_call=3.33,rejected_calls=0,failed_calls=0\r\n")
	f.Add("run_id:abc\ncmdstat_XADD:calls=3\ncmdstat_config|get:calls=1,usec=1\n")
	f.Add("cmdstat_xadd:calls=")
	f.Fuzz(func(t *testing.T, info string) {
		a := Appends{make(map[string]commandCounts)}
		err := a.read(info)
		if n, ok := a.Since(a); ok != (err == nil) || n != 0 {
			t.Errorf("%d entries since the same instant, %v, after the error %v", n, ok, err)
		}
	})
}
