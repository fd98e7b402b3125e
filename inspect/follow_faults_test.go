package inspect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestFollowingOutlivesARedisThatIsAway(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	proxy := redistest.StartProxy(t, s.Addr)
	add(t, s.Client, "a", "1-0", "id", 1)
	b := open(t, proxy.Addr, func(o *buffer.Options) { o.Connection.Timeout = time.Second })
	p := play{Following: Following{Streams: []string{"a"}}, steps: []func(){
		func() { add(t, s.Client, "a", "2-0", "id", 1) },
		func() { proxy.Down(true); add(t, s.Client, "a", "3-0", "id", 1) },
		nothing,
		func() { proxy.Down(false) },
		func() { add(t, s.Client, "a", "4-0", "id", 1) },
	}}
	p.sees(t, b, "2-0", "3-0", "4-0")
	log := p.log.String()
	if strings.Count(log, "trying again") != 1 || strings.Count(log, "read again") != 1 || strings.Count(log, "\n") != 2 {
		t.Errorf("the log says\n%s", log)
	}
}

func TestFollowingOutlivesWhatCanBeMended(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	for _, c := range []struct {
		name          string
		breaks, mends func()
		want          []string
	}{
		{"a key that is another type for a while",
			func() { s.Client.Rename(ctx, "stream:a", "aside"); s.Client.Set(ctx, "stream:a", "x", 0) },
			func() { s.Client.Rename(ctx, "aside", "stream:a") }, []string{"2-0", "3-0"}},
		{"a right that is missing for a while",
			func() { s.Client.Do(ctx, "ACL", "SETUSER", "default", "-evalsha_ro", "-eval_ro", "-evalsha", "-eval") },
			func() { s.Client.Do(ctx, "ACL", "SETUSER", "default", "+@all") }, []string{"2-0", "3-0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.Client.FlushAll(ctx)
			add(t, s.Client, "a", "1-0", "id", 1)
			p := play{Following: Following{Streams: []string{"a"}}, steps: []func(){
				func() { add(t, s.Client, "a", "2-0", "id", 1) },
				c.breaks, nothing, c.mends,
				func() { add(t, s.Client, "a", "3-0", "id", 1) },
			}}
			p.sees(t, open(t, s.Addr), c.want...)
			if log := p.log.String(); strings.Count(log, "cannot read streams") != 1 || strings.Count(log, "read again") != 1 {
				t.Errorf("the log says\n%s", log)
			}
		})
	}
}

func TestFollowingEndsWhereItCannotGoOn(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	s.Client.HSet(ctx, "stream:hash", "a", "b")
	add(t, s.Client, "a", "1-0", "id", 1)
	full := errors.New("the disk is full")
	for _, c := range []struct {
		name    string
		streams []string
		step    func()
		want    error
		class   redisconn.Class
	}{
		{name: "a key that is no stream", streams: []string{"hash"}, want: ErrNotStream},
		{name: "a stream that others look after", streams: []string{"others"}, want: ErrNotOurs},
		{name: "what was seen cannot be written", streams: []string{"b"}, want: full, step: func() { add(t, s.Client, "b", "*", "id", 1) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			add(t, s.Client, "b", "*", "id", 1)
			b := open(t, s.Addr, func(o *buffer.Options) { o.Exclude, _ = buffer.ParsePatterns("others") })
			pauses := 0
			_, err := New(b, Options{}).Follow(ctx, Following{Streams: c.streams, Pause: func(context.Context, time.Duration) {
				if pauses++; pauses == 1 && c.step != nil {
					c.step()
				}
				if pauses > 9 {
					t.Fatal("it goes on")
				}
			}}, func(messages []Message) error {
				if len(messages) == 0 {
					return nil
				}
				return full
			})
			if err == nil || c.want != nil && !errors.Is(err, c.want) || redisconn.ClassOf(err) != c.class && c.class != "" {
				t.Errorf("it ends with %v", err)
			}
		})
	}
}

func TestFollowingGetsByWithTheRightsOfInspecting(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	words, _ := buffer.Uses{Job: true, Inspect: true, Names: buffer.DefaultNames}.Rule()
	args := []any{"ACL", "SETUSER", "keeper", "on", ">secret"}
	for _, word := range words {
		args = append(args, word)
	}
	if err := s.Client.Do(ctx, args...).Err(); err != nil {
		t.Fatal(err)
	}
	add(t, s.Client, "a", "1-0", "id", 1)
	b := open(t, s.Addr, func(o *buffer.Options) { o.Connection.Username, o.Connection.Password = "keeper", "secret" })
	changes := changesSinceSave(s.Client.Info(ctx, "persistence").Val())
	since, _ := ParseSince("0")
	p := play{Following: Following{Streams: []string{"a"}, Since: since}}
	p.sees(t, b, "1-0")
	if now := changesSinceSave(s.Client.Info(ctx, "persistence").Val()); now != changes {
		t.Errorf("Redis counts %s changes, before %s", now, changes)
	}
}

func TestWhatWasTrimmedBeforeItWasSeenIsSaid(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	stream := func(n int) {
		for range n {
			s.Client.XAdd(ctx, &redis.XAddArgs{Stream: "stream:a\x1b", Values: []any{"id", 1}})
		}
	}
	s.Client.SAdd(ctx, "streams", "a\x1b")
	stream(10)
	trim := func() { s.Client.XTrimMaxLen(ctx, "stream:a\x1b", 2) }
	p := play{Following: Following{Streams: []string{"a\x1b"}}, steps: []func(){
		trim,                           // what was there before does not count
		func() { stream(3) },           // seen in time
		trim,                           // after it was seen
		func() { stream(9); trim() },   // seven are missed
		func() { stream(250); trim() }, // and 248
	}}
	if err := p.run(t, open(t, s.Addr)); err != nil {
		t.Fatal(err)
	}
	if len(p.seen) != 7 {
		t.Errorf("%d messages seen, want 7", len(p.seen))
	}
	log := p.log.String()
	if strings.Count(log, "\n") != 2 || !strings.Contains(log, `stream=a\x1b entries=7`+"\n") || !strings.Contains(log, `stream=a\x1b entries=248`+"\n") {
		t.Errorf("the log says\n%s", log)
	}
}

func TestAStreamThatGoesAndComesBackIsFollowedOn(t *testing.T) {
	t.Parallel()
	servers(t, func(t *testing.T, addr string, rdb *redis.Client) {
		ctx := t.Context()
		add(t, rdb, "a", "50-0", "id", 1)
		p := play{Following: Following{Streams: []string{"a"}}, steps: []func(){
			func() { rdb.Del(ctx, "stream:a") },
			func() { add(t, rdb, "a", "7-0", "id", 1) },
			func() { add(t, rdb, "a", "8-0", "id", 1) },
			func() { rdb.Del(ctx, "stream:a"); add(t, rdb, "a", "3-0", "id", 1) }, // before it was asked again
			func() { add(t, rdb, "a", "4-0", "id", 1) },
		}}
		p.sees(t, open(t, addr), "7-0", "8-0", "4-0")
		if log := p.log.String(); strings.Count(log, "\n") != 2 || !strings.Contains(log, "stream was removed") || !strings.Contains(log, "went back") {
			t.Errorf("the log says\n%s", log)
		}
	})
}

// What vanishes with its stream between two looks leaves no trace but in figures.
func TestMessagesThatVanishWithTheirStreamAreSaid(t *testing.T) {
	t.Parallel()
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		s, ctx := start(t), t.Context()
		ids := 100
		more := func(n int) {
			for range n {
				ids++
				add(t, s.Client, "a", fmt.Sprintf("%d-0", ids), "id", 1)
			}
		}
		remove := func() { s.Client.Del(ctx, "stream:a") }
		counts := entriesAreCounted(t, s.Client)
		zero, _ := ParseSince("0")
		for _, c := range []struct {
			name   string
			since  Since
			before int
			step   func()
			// seen are those that are there still; said is what the log has of the
			// others, from 7.0 on and before.
			seen          int
			missed        int64
			said, before7 string
		}{
			{name: "removed and made anew before the next look", before: 5, seen: 2, step: func() { more(3); remove(); more(2) },
				said: "stream was replaced\" stream=a unseen_at_least=0", before7: "entries may have gone unseen"},
			{name: "made anew, and cut", before: 5, seen: 2, missed: 2, step: func() { remove(); more(4); s.Client.XTrimMaxLen(ctx, "stream:a", 2) },
				said: "stream was replaced\" stream=a unseen_at_least=2", before7: "entries may have gone unseen"},
			{name: "removed", before: 5, step: func() { more(3); remove() },
				said: "stream was removed\" stream=a unseen_at_least=0", before7: "stream was removed"},
			{name: "removed while more of it waited", since: zero, before: 250, seen: 100, missed: 150, step: remove,
				said: "stream was removed\" stream=a unseen_at_least=150", before7: "stream was removed"},
		} {
			t.Run(c.name, func(t *testing.T) {
				remove()
				more(c.before)
				p := play{Following: Following{Streams: []string{"a"}, Since: c.since}, steps: []func(){c.step, nothing}}
				if c.since.given {
					p.steps, p.first = nil, c.step
				}
				if err := p.run(t, open(t, s.Addr)); err != nil {
					t.Fatal(err)
				}
				want, missed := c.said, c.missed
				if !counts {
					want, missed = c.before7, min(c.missed, p.report.Missed)
				}
				if len(p.seen) != c.seen || p.report.Missed != missed {
					t.Errorf("%d seen and %d missed, want %d and %d", len(p.seen), p.report.Missed, c.seen, missed)
				}
				if log := p.log.String(); !strings.Contains(log, want) || strings.Count(log, "\n") != 1 {
					t.Errorf("the log says\n%s", log)
				}
			})
		}
	})
}

// entriesAreCounted reports whether the server says how many entries a stream was
// ever given, as from 7.0 on.
func entriesAreCounted(t *testing.T, rdb *redis.Client) bool {
	t.Helper()
	add(t, rdb, "counted", "1-0", "id", 1)
	info, err := rdb.Do(t.Context(), "XINFO", "STREAM", "stream:counted").Slice()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Contains(info, any("entries-added"))
}

func TestFollowingStreamsOnSeveralNodes(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, false)
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{c.Masters[0].Addr}, Protocol: 2})
	defer cluster.Close()
	put := func(stream, id string) {
		if err := cluster.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:" + stream, ID: id, Values: []any{"id", 1}}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	streams := []string{"a", "b", "c", "d"}
	for _, s := range streams {
		put(s, "1-0")
	}
	p := play{Following: Following{Streams: streams}, steps: []func(){
		func() {
			for _, s := range streams {
				put(s, "2-0")
			}
		},
	}}
	p.sees(t, open(t, c.Masters[0].Addr), "a 2-0", "b 2-0", "c 2-0", "d 2-0")
}
