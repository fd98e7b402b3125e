package buffer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
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
