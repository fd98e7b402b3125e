package buffer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// copying keeps copies, and spares what was put back within a day.
var copying = registry.Expiring{After: 24 * time.Hour, Keep: time.Hour, Bytes: 64 << 20}

// undoing is how tests put sessions back.
var undoing = registry.Undoing{Notes: 48 * time.Hour}

// snapshot is all that producers keep of sessions, byte for byte, with the times to
// live in seconds; 0 for none.
func snapshot(t *testing.T, rdb redis.UniversalClient, identities []string) map[string]string {
	t.Helper()
	ctx, all := t.Context(), make(map[string]string)
	for _, key := range sessionKeys(identities) {
		fields, err := rdb.HGetAll(ctx, key).Result()
		if err != nil {
			t.Fatal(err)
		}
		if len(fields) > 0 {
			all[key+" ends in"] = rdb.PTTL(ctx, key).Val().Round(time.Minute).String()
		}
		for field, value := range fields {
			all[key+" "+field] = value
			left, err := rdb.Do(ctx, "HPTTL", key, "FIELDS", 1, field).Int64Slice()
			if err == nil && left[0] > 0 {
				all[key+" "+field+" ends in"] = (time.Duration(left[0]) * time.Millisecond).Round(time.Minute).String()
			}
		}
	}
	return all
}

// sessionKeys are the keys at which sessions lie in all layouts, each once.
func sessionKeys(identities []string) []string {
	all := []string{"sessions"}
	for _, layout := range registry.Layouts() {
		if !layout.HasOwnKey() {
			continue
		}
		for _, identity := range identities {
			all = append(all, layout.KeyOf("sessions", identity))
		}
	}
	return all
}

// allCopies are the copies of all sessions.
func allCopies(t *testing.T, b *Buffer) (all []registry.Copy) {
	t.Helper()
	if err := b.WalkCopies(t.Context(), func(c registry.Copy) error {
		all = append(all, c)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// expireAll removes all sessions, and fails unless it keeps a copy of each.
func expireAll(t *testing.T, b *Buffer) {
	t.Helper()
	ended, err := b.Expire(t.Context(), readAll(t, b), copying)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range ended {
		if !e.Removed || !e.Copied {
			t.Errorf("the session %d of %d: %+v", i, len(ended), e)
		}
	}
}

// undoAll puts all copies back, and fails unless each has that outcome.
func undoAll(t *testing.T, b *Buffer, want registry.Undone) {
	t.Helper()
	copies := allCopies(t, b)
	ended, failed, err := b.Undo(t.Context(), copies, undoing)
	if err != nil {
		t.Fatal(err)
	}
	for i := range copies {
		if failed[i] != nil || ended[i] != want {
			t.Errorf("%q of the %s layout: %d, %v", copies[i].Identity, copies[i].Layout, ended[i], failed[i])
		}
	}
}

// ownNames are odd names of sessions that do not lie where a property of another
// one would.
func ownNames() []string {
	return slices.DeleteFunc(append(slices.Clone(oddNames), "a}b", "{}x", "a{b", "x{tag}}y", strings.Repeat("long", 100)), func(name string) bool {
		return name == "a:lastUpdated" || name == "x:json"
	})
}

// fillForUndo writes sessions of a layout, some with a time to live, one with a
// property that nobody knows.
func fillForUndo(t *testing.T, rdb redis.UniversalClient, layout registry.Layout, names []string) {
	t.Helper()
	ctx := t.Context()
	for i, name := range names {
		writeSession(ctx, rdb, layout, name, "s", five+int64(i))
		switch {
		case layout.HasOwnKey():
			key := layout.KeyOf("sessions", name)
			rdb.HSet(ctx, key, "own", "\x00\xff"+name, "json", strings.Repeat("j", 300))
			if i%2 == 0 {
				rdb.PExpire(ctx, key, time.Duration(i+1)*10*time.Minute)
			}
		case i%2 == 0:
			field := name
			if layout == registry.Fields {
				field += ":streamName"
			}
			rdb.Do(ctx, "HPEXPIRE", "sessions", (time.Duration(i+1) * 10 * time.Minute).Milliseconds(), "FIELDS", 1, field)
		}
		if layout == registry.Fields {
			rdb.HSet(ctx, "sessions", name+":own", "simple")
		}
	}
}

func TestWhatExpiredComesBackByteForByte(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		for _, layout := range registry.Layouts() {
			t.Run(string(layout), func(t *testing.T) {
				s := start(t)
				comesBack(t, s.URL(), s.Client, layout)
			})
		}
	})
	t.Run("cluster", func(t *testing.T) {
		c := redistest.StartCluster(t, 3, false)
		for _, layout := range registry.Layouts() {
			t.Run(string(layout), func(t *testing.T) {
				if err := c.Client.ForEachMaster(t.Context(), func(ctx context.Context, m *redis.Client) error { return m.FlushAll(ctx).Err() }); err != nil {
					t.Fatal(err)
				}
				comesBack(t, c.URL(), c.Client, layout)
			})
		}
	})
}

func comesBack(t *testing.T, url string, rdb redis.UniversalClient, layout registry.Layout) {
	b := openOn(t, url)
	names := ownNames()
	fillForUndo(t, rdb, layout, names)
	before := snapshot(t, rdb, names)
	expireAll(t, b)
	if left := snapshot(t, rdb, names); len(left) > 0 {
		t.Fatalf("left are %q", left)
	}
	if n := len(allCopies(t, b)); n != len(names) {
		t.Fatalf("%d copies of %d sessions", n, len(names))
	}
	undoAll(t, b, registry.IsBack)
	if after := snapshot(t, rdb, names); !maps.Equal(before, after) {
		t.Errorf("before\n%q\nafter\n%q", before, after)
	}
	if n := len(allCopies(t, b)); n != 0 {
		t.Errorf("%d copies are left", n)
	}
	sessions := readAll(t, b)
	at, err := b.PutBack(t.Context(), sessions)
	if err != nil {
		t.Fatal(err)
	}
	for i := range at {
		if age := time.Since(at[i]); age < -time.Minute || age > time.Minute {
			t.Errorf("%q was put back at %s", sessions[i].Identity, at[i])
		}
	}
	// Who read the session before it expired does not remove it again.
	ended, err := b.Expire(t.Context(), sessions, copying)
	if err != nil || slices.ContainsFunc(ended, func(e registry.Expiry) bool { return e.Removed }) {
		t.Errorf("expired again: %+v, %v", ended, err)
	}
	for _, s := range sessions {
		if there, err := b.ForgetCopies(t.Context(), s.Identity); err != nil || !there {
			t.Errorf("forgetting %q: %t, %v", s.Identity, there, err)
		}
	}
	expireAll(t, b)
}

func TestWhatWasWrittenSinceIsNotOverwritten(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	b := openOn(t, s.URL())
	for _, layout := range registry.Layouts() {
		for _, other := range registry.Layouts() {
			t.Run(string(layout)+", then "+string(other), func(t *testing.T) {
				s.Client.FlushAll(t.Context())
				writeSession(t.Context(), s.Client, layout, "a", "s", five)
				expireAll(t, b)
				if err := registry.Produce(t.Context(), s.Client, other, "sessions", "a", "lastUpdated", five+1); err != nil {
					t.Fatal(err)
				}
				before := snapshot(t, s.Client, []string{"a"})
				undoAll(t, b, registry.Exists)
				if after := snapshot(t, s.Client, []string{"a"}); !maps.Equal(before, after) {
					t.Errorf("it became %q", after)
				}
				if n := len(allCopies(t, b)); n != 1 {
					t.Errorf("%d copies are left", n)
				}
			})
		}
	}
}

// A producer that has written one property only has written the session.
func TestUndoDoesNotMixWithWhatAProducerHasBegunToWrite(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	b := openOn(t, s.URL())
	for _, layout := range registry.Layouts() {
		for _, property := range []string{"lastUpdated", "updated", "streamName", "streamSessionId", "streamPosition", "tStart", "tEnd", "json"} {
			t.Run(string(layout)+", "+property, func(t *testing.T) {
				s.Client.FlushAll(t.Context())
				if err := registry.Produce(t.Context(), s.Client, layout, "sessions", "a", "streamSessionId", 7, "streamName", "s", "lastUpdated", five); err != nil {
					t.Fatal(err)
				}
				expireAll(t, b)
				s.Client.HSet(t.Context(), "sessions", "a:"+property, 5)
				before := snapshot(t, s.Client, []string{"a"})
				undoAll(t, b, registry.Exists)
				if after := snapshot(t, s.Client, []string{"a"}); !maps.Equal(before, after) {
					t.Errorf("it became %q", after)
				}
			})
		}
	}
}

// An identity in several layouts comes back in each, together or one after another.
func TestAnIdentityComesBackInEachOfItsLayouts(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	b := openOn(t, s.URL())
	names := []string{"a", "b"}
	for _, together := range []bool{true, false} {
		t.Run(fmt.Sprintf("together %t", together), func(t *testing.T) {
			s.Client.FlushAll(t.Context())
			for _, layout := range registry.Layouts() {
				for _, name := range names {
					writeSession(t.Context(), s.Client, layout, name, "s", five)
				}
			}
			before := snapshot(t, s.Client, names)
			expireAll(t, b)
			copies := allCopies(t, b)
			if len(copies) != len(names)*len(registry.Layouts()) {
				t.Fatalf("copies are %+v", copies)
			}
			parts := [][]registry.Copy{copies}
			if !together {
				parts = slices.Collect(slices.Chunk(copies, 1))
			}
			back := make(map[string]bool)
			how := undoing
			how.Back = func(identity string, l registry.Layout) bool { return back[identity+string(l)] }
			for _, part := range parts {
				ended, failed, err := b.Undo(t.Context(), part, how)
				for i, c := range part {
					if err != nil || failed[i] != nil || ended[i] != registry.IsBack {
						t.Errorf("%+v: %d, %v, %v", c, ended[i], failed[i], err)
					}
					back[c.Identity+string(c.Layout)] = true
				}
			}
			if after := snapshot(t, s.Client, names); !maps.Equal(before, after) {
				t.Errorf("before\n%q\nafter\n%q", before, after)
			}
		})
	}
}

func TestACopyComesBackOnce(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	b := openOn(t, s.URL())
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			s.Client.FlushAll(t.Context())
			writeSession(t.Context(), s.Client, layout, "a", "s", five)
			expireAll(t, b)
			copies := allCopies(t, b)
			undoAll(t, b, registry.IsBack)
			s.Client.Del(t.Context(), layout.KeyOf("sessions", "a"))
			ended, failed, err := b.Undo(t.Context(), copies, undoing)
			if err != nil || failed[0] != nil || ended[0] != registry.NoCopy {
				t.Errorf("%d, %v, %v", ended[0], failed[0], err)
			}
		})
	}
}

// Out of memory a session goes, with its copy as that takes no more, and comes back.
func TestOutOfMemorySessionsGoAndComeBack(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		for _, layout := range registry.Layouts() {
			t.Run(string(layout), func(t *testing.T) {
				s := start(t)
				fillForUndo(t, s.Client, layout, ownNames())
				before := snapshot(t, s.Client, ownNames())
				b := openOn(t, s.URL())
				readAll(t, b)
				if err := s.Client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
					t.Fatal(err)
				}
				if err := s.Client.Set(t.Context(), "x", 1, 0).Err(); redisconn.ClassOf(err) != redisconn.ClassOOM {
					t.Fatalf("there is memory: %v", err)
				}
				expireAll(t, b)
				undoAll(t, b, registry.IsBack)
				if after := snapshot(t, s.Client, ownNames()); !maps.Equal(before, after) {
					t.Errorf("before\n%q\nafter\n%q", before, after)
				}
			})
		}
	})
}

// What cannot be copied goes all the same.
func TestWithoutACopySessionsGo(t *testing.T) {
	t.Parallel()
	for _, layout := range registry.Layouts() {
		for name, prepare := range map[string]func(s *redistest.Server, how *registry.Expiring){
			"copies are off": func(_ *redistest.Server, how *registry.Expiring) { how.Keep = 0 },
			"too large":      func(_ *redistest.Server, how *registry.Expiring) { how.Bytes = 100 },
			"a key of another type": func(s *redistest.Server, _ *registry.Expiring) {
				s.Client.Set(t.Context(), "streamkeeper:undo:{sessions}", "x", 0)
				s.Client.Set(t.Context(), "streamkeeper:undone:{sessions}", "x", 0)
				if layout.HasOwnKey() {
					s.Client.HSet(t.Context(), layout.KeyOf("sessions", "a"), "streamkeeper:undo", "taken")
				}
			},
			"no right": func(s *redistest.Server, _ *registry.Expiring) {
				s.Client.Do(t.Context(), "ACL", "SETUSER", "keeper", "-rename", "-xadd")
			},
		} {
			t.Run(string(layout)+", "+name, func(t *testing.T) {
				s := redistest.Start(t)
				writeSession(t.Context(), s.Client, layout, "a", "s", five)
				how := copying
				s.Client.Do(t.Context(), "ACL", "SETUSER", "keeper", "on", ">p", "~*", "+@all")
				prepare(s, &how)
				b := openOn(t, strings.Replace(s.URL(), "redis://", "redis://keeper:p@", 1))
				sessions := slices.DeleteFunc(readAll(t, b), func(s registry.Session) bool { return s.Identity != "a" })
				ended, err := b.Expire(t.Context(), sessions, how)
				if err != nil || len(ended) != 1 || !ended[0].Removed || ended[0].Copied {
					t.Errorf("%+v, %v", ended, err)
				}
				if n := len(allCopies(t, b)) + len(readAll(t, b)); n != 0 {
					t.Errorf("%d copies and sessions", n)
				}
			})
		}
	}
}

// A session whose return cannot be noted stays a copy.
func TestNothingComesBackUnnoted(t *testing.T) {
	t.Parallel()
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			s := redistest.Start(t)
			writeSession(t.Context(), s.Client, layout, "a", "s", five)
			b := openOn(t, s.URL())
			expireAll(t, b)
			s.Client.Do(t.Context(), "ACL", "SETUSER", "keeper", "on", ">p", "~*", "+@all", "-set", "-zadd")
			keeper := openOn(t, strings.Replace(s.URL(), "redis://", "redis://keeper:p@", 1))
			_, failed, err := keeper.Undo(t.Context(), allCopies(t, b), undoing)
			if err == nil || !strings.Contains(fmt.Sprint(failed[0]), "lacks the right") {
				t.Errorf("%v, %v", failed, err)
			}
			if n := len(readAll(t, b)); n != 0 {
				t.Errorf("%d sessions are back", n)
			}
			undoAll(t, b, registry.IsBack)
		})
	}
}

func TestCopiesStayWithinTheirBoundTheOldestGoFirst(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		for _, layout := range registry.Layouts() {
			t.Run(string(layout), func(t *testing.T) {
				s := start(t)
				b := openOn(t, s.URL())
				const most = 64 << 10
				how := copying
				how.Bytes = most
				var last time.Time
				for i := range 40 {
					for k := range 10 {
						writeSession(t.Context(), s.Client, layout, fmt.Sprintf("%d-%d", i, k), strings.Repeat("s", 200), five)
					}
					if _, err := b.Expire(t.Context(), readAll(t, b), how); err != nil {
						t.Fatal(err)
					}
					// Sets of copies have times of their own.
					redistest.Await(t, "another millisecond", func() bool {
						now, err := b.Now(t.Context())
						ok := err == nil && now.Sub(last) >= time.Millisecond
						last = now
						return ok
					})
				}
				left, err := b.BoundCopies(t.Context(), time.Hour, most, true)
				if err != nil {
					t.Fatal(err)
				}
				used := left.Keys + left.Hash
				if used > most || used < most/2 {
					t.Errorf("copies take %d of %d bytes", used, most)
				}
				copies := allCopies(t, b)
				var memory int64
				for _, key := range s.Client.Keys(t.Context(), "streamkeeper:undo:*").Val() {
					memory += s.Client.MemoryUsage(t.Context(), key, 0).Val()
				}
				if memory > most*5/4 {
					t.Errorf("they take %d bytes of memory, of %d", memory, most)
				}
				oldest, newest := copies[0].Expired, copies[0].Expired
				for _, c := range copies {
					if c.Expired.Before(oldest) {
						oldest = c.Expired
					}
					if c.Expired.After(newest) {
						newest = c.Expired
					}
				}
				if there, _, _ := strings.Cut(newestIdentity(copies), "-"); there != "39" {
					t.Errorf("the newest copy is of %s", newestIdentity(copies))
				}
				// All older than the oldest that is left have gone.
				if n := len(copies); n < 20 || n >= 400 {
					t.Errorf("%d copies are left, of %s to %s", n, oldest, newest)
				}
				if left, err = b.BoundCopies(t.Context(), time.Hour, 0, true); err != nil || left.Keys+left.Hash != 0 || len(allCopies(t, b)) != 0 {
					t.Errorf("without a bound %+v are left, %v", left, err)
				}
			})
		}
	})
}

func newestIdentity(copies []registry.Copy) string {
	return slices.MaxFunc(copies, func(a, b registry.Copy) int { return a.Expired.Compare(b.Expired) }).Identity
}

func TestCopiesGoByThemselves(t *testing.T) {
	t.Parallel()
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			s := redistest.Start(t)
			b := openOn(t, s.URL())
			writeSession(t.Context(), s.Client, layout, "a", "s", five)
			how := copying
			how.Keep = 50 * time.Millisecond
			if ended, err := b.Expire(t.Context(), readAll(t, b), how); err != nil || !ended[0].Copied {
				t.Fatalf("%+v, %v", ended, err)
			}
			redistest.Await(t, "the end of the copy", func() bool { return s.Client.DBSize(t.Context()).Val() == 0 })
		})
	}
}

// producers refresh sessions while others expire them and put them back. None is
// lost, and none falls back to what it was before a refresh.
func TestUndoNeverOverwritesARefresh(t *testing.T) {
	refreshes := 100_000
	if testing.Short() || redistest.Race {
		refreshes = 6_000
	}
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			b := openOn(t, s.URL())
			const sessions = 40
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var others sync.WaitGroup
			returns := 0
			others.Go(func() {
				for ctx.Err() == nil {
					page, err := readOld(ctx, b)
					if err == nil {
						_, err = b.Expire(ctx, page, registry.Expiring{Keep: time.Hour, Bytes: 64 << 20})
					}
					if err != nil && ctx.Err() == nil {
						t.Error(err)
					}
				}
			})
			others.Go(func() {
				for ctx.Err() == nil {
					n, err := putBackOnce(ctx, b)
					if returns += n; err != nil && ctx.Err() == nil {
						t.Error(err)
					}
				}
			})
			written := make([]int64, sessions)
			for n := range refreshes / len(registry.Layouts()) {
				i := n % sessions
				identity := fmt.Sprintf("car %d", i)
				if n%(5*sessions) >= 4*sessions && n > 0 {
					continue // it falls silent, so that it expires and comes back
				}
				written[i] = five + int64(n)
				if err := registry.Produce(ctx, s.Client, layout, "sessions", identity, "streamSessionId", 7, "streamName", "s", "lastUpdated", written[i]); err != nil {
					t.Fatal(err)
				}
				if got := lastUpdated(ctx, t, b, layout, identity); got != 0 && got != written[i] {
					t.Fatalf("%s: a refresh of %d became %d", identity, written[i], got)
				}
			}
			stop()
			others.Wait()
			undoAllThatAreGone(t, b)
			for i, at := range written {
				if got := lastUpdated(t.Context(), t, b, layout, fmt.Sprintf("car %d", i)); got != at {
					t.Errorf("car %d was updated at %d, and is as of %d", i, at, got)
				}
			}
			if returns < 10 {
				t.Errorf("only %d sessions came back meanwhile", returns)
			}
		})
	}
}

func readOld(ctx context.Context, b *Buffer) (all []registry.Session, err error) {
	err = b.WalkSessions(ctx, func(page []registry.Session) error {
		all = append(all, page...)
		return nil
	})
	return all, err
}

func putBackOnce(ctx context.Context, b *Buffer) (returns int, err error) {
	seen := make(map[string]bool)
	var copies []registry.Copy
	if err := b.WalkCopies(ctx, func(c registry.Copy) error {
		if !seen[c.Identity] {
			copies = append(copies, c)
		}
		seen[c.Identity] = true
		return nil
	}); err != nil {
		return 0, err
	}
	ended, failed, err := b.Undo(ctx, copies, registry.Undoing{Notes: time.Hour})
	for i := range ended {
		if ended[i] == registry.IsBack {
			returns++
		}
	}
	return returns, errors.Join(append(failed, err)...)
}

func undoAllThatAreGone(t *testing.T, b *Buffer) {
	t.Helper()
	if _, err := putBackOnce(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

// lastUpdated is what a session says of itself, 0 if it is not there.
func lastUpdated(ctx context.Context, t *testing.T, b *Buffer, layout registry.Layout, identity string) int64 {
	t.Helper()
	var text string
	switch key := layout.KeyOf("sessions", identity); {
	case layout.HasOwnKey():
		text = b.rdb.HGet(ctx, key, "lastUpdated").Val()
	case layout == registry.Fields:
		text = b.rdb.HGet(ctx, key, identity+":lastUpdated").Val()
	default:
		_, rest, _ := strings.Cut(b.rdb.HGet(ctx, "sessions", identity).Val(), `"lastUpdated":`)
		text = strings.TrimRight(strings.SplitN(rest+",", ",", 2)[0], "}")
	}
	var n int64
	_, _ = fmt.Sscan(text, &n)
	return n
}
