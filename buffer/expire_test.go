package buffer

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// five is a time at which sessions were updated.
const five = 1763874856005

// readAll returns all sessions of the registry.
func readAll(t *testing.T, b *Buffer) []registry.Session {
	t.Helper()
	var all []registry.Session
	if err := b.WalkSessions(t.Context(), func(page []registry.Session) error {
		all = append(all, page...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestExpireRemovesWhatIsAsItWasRead(t *testing.T) {
	t.Parallel()
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			eachServer(t, func(t *testing.T, url string, rdb *redis.Client) {
				ctx := t.Context()
				for _, odd := range oddNames {
					writeSession(ctx, rdb, layout, odd, "s", five)
				}
				writeSession(ctx, rdb, layout, "refreshed", "s", five)
				writeSession(ctx, rdb, layout, "gone", "s", five)
				b := open(t, url, nil)
				sessions := readAll(t, b)
				writeSession(ctx, rdb, layout, "refreshed", "s", five+1)
				for _, s := range sessions {
					if s.Identity == "gone" {
						if removed, err := expire(ctx, b, []registry.Session{s}); err != nil || !removed[0] {
							t.Errorf("removed %v, %v", removed, err)
						}
					}
				}
				removed, err := expire(ctx, b, sessions)
				if err != nil {
					t.Fatal(err)
				}
				for i, s := range sessions {
					if want := s.Identity != "refreshed" && s.Identity != "gone"; removed[i] != want {
						t.Errorf("%q was removed: %v", s.Identity, removed[i])
					}
				}
				if left := readAll(t, b); len(left) != 1 || left[0].Identity != "refreshed" || left[0].Updated.UnixMilli() != five+1 {
					t.Errorf("left are %+v", left)
				}
			})
		})
	}
}

func TestExpireSeesEveryChangeOfTheTime(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, url string, rdb *redis.Client) {
		ctx := t.Context()
		b := open(t, url, nil)
		for name, change := range map[string]func(key, prefix string){
			"another time":      func(key, prefix string) { rdb.HSet(ctx, key, prefix+"lastUpdated", five+1) },
			"a second name":     func(key, prefix string) { rdb.HSet(ctx, key, prefix+"updated", five+1) },
			"a time fewer":      func(key, prefix string) { rdb.HDel(ctx, key, prefix+"lastUpdated") },
			"the same, as text": func(key, prefix string) { rdb.HSet(ctx, key, prefix+"lastUpdated", fmt.Sprint(five, ".0")) },
		} {
			for layout, place := range map[registry.Layout][2]string{registry.Keys: {"sessions:i", ""}, registry.Fields: {"sessions", "i:"}} {
				rdb.FlushAll(ctx)
				writeSession(ctx, rdb, layout, "i", "s", five)
				sessions := readAll(t, b)
				change(place[0], place[1])
				if removed, err := expire(ctx, b, sessions); err != nil || removed[0] {
					t.Errorf("%s, %s: removed %v, %v", layout, name, removed, err)
				}
			}
		}
	})
}

func TestExpireLeavesAKeyOfAnotherTypeThatTookTheSessionsPlace(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	for i := range 3 {
		writeSession(ctx, s.Client, registry.Keys, strconv.Itoa(i), "s", five)
	}
	b := open(t, s.URL(), nil)
	sessions := readAll(t, b)
	s.Client.Set(ctx, "sessions:1", "taken", 0)
	removed, err := expire(ctx, b, sessions)
	if err != nil {
		t.Fatal(err)
	}
	for i, session := range sessions {
		if removed[i] == (session.Identity == "1") {
			t.Errorf("%q was removed: %v", session.Identity, removed[i])
		}
	}
}

func TestExpireBoundsEachCall(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	b := open(t, s.URL(), nil)
	for i := range 1000 {
		writeSession(ctx, s.Client, registry.Object, strconv.Itoa(i), "s", five)
	}
	for i := range 20 {
		s.Client.HSet(ctx, "sessions", "big "+strconv.Itoa(i), `{"lastUpdated":1763874856005,"streamName":"s","json":"`+strings.Repeat("x", 100<<10)+`"}`)
	}
	sessions := readAll(t, b)
	if err := s.ResetCalls(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := expire(ctx, b, sessions); err != nil {
		t.Fatal(err)
	}
	calls, err := s.CommandCalls(ctx)
	if err != nil {
		t.Fatal(err)
	}
	// No call holds two of the big ones.
	if calls["evalsha"] < 20 || calls["hdel"] != 1020 {
		t.Errorf("calls: %v", calls)
	}
}

// TestNoRefreshIsEverLost lets refreshes land between reading and deleting,
// more than 100 000 of them in each layout, while stale reads are expired in a
// loop; with the race detector, which makes each ten times as slow, fewer. A session
// that was refreshed must be there afterwards, with its time.
func TestNoRefreshIsEverLost(t *testing.T) {
	t.Parallel()
	const rounds = 20
	wanted, sessions := 100_000, 20_000 // wanted are refreshes that land between reading and deleting
	if redistest.Race {
		wanted, sessions = 8_000, 4_000
	}
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			b := open(t, s.URL(), func(o *Options) { o.Layouts = []registry.Layout{layout} })
			var refreshed, lost, overtaken int
			for round := 0; round < rounds && refreshed-overtaken < wanted; round++ {
				write(t, s.Client, layout, sessions, five, func(int) bool { return true })
				stale := readAll(t, b)
				if len(stale) != sessions {
					t.Fatalf("%d sessions were read", len(stale))
				}
				removed := race(t, s.Client, b, layout, stale, int64(five+1+round))
				left := make(map[string]int64)
				for _, session := range readAll(t, b) {
					left[session.Identity] = session.Updated.UnixMilli()
				}
				for i, session := range stale {
					refreshed++
					if left[session.Identity] != int64(five+1+round) {
						lost++
					}
					// Removed first and then written anew is in order, too.
					if removed[i] {
						overtaken++
					}
				}
			}
			t.Logf("%d refreshes, %d of them after the removal, %d lost", refreshed, overtaken, lost)
			if lost > 0 {
				t.Errorf("%d of %d refreshed sessions are gone", lost, refreshed)
			}
			if landed := refreshed - overtaken; landed < wanted {
				t.Errorf("only %d refreshes landed between reading and deleting", landed)
			}
		})
	}
}

// race refreshes all sessions while Expire works on the stale reads of them,
// close behind, and at times ahead.
func race(t *testing.T, rdb *redis.Client, b *Buffer, layout registry.Layout, stale []registry.Session, updated int64) []bool {
	t.Helper()
	removed := make([]bool, len(stale))
	written := make(chan int, 4)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(written)
		const batch = 250
		for from := 0; from < len(stale); from += batch {
			pipe := rdb.Pipeline()
			for _, s := range stale[from : from+batch] {
				writeSession(t.Context(), pipe, layout, s.Identity, "s", updated)
			}
			if _, err := pipe.Exec(t.Context()); err != nil {
				t.Error(err)
				return
			}
			written <- from + batch
		}
	})
	const chunk = 500
	for from := 0; from < len(stale); from += chunk {
		// Half of the chunk is refreshed by now, the rest meanwhile.
		for done, ok := 0, true; ok && done < from+chunk/2; {
			done, ok = <-written
		}
		done, err := expire(t.Context(), b, stale[from:from+chunk])
		if err != nil {
			t.Fatal(err)
		}
		copy(removed[from:], done)
	}
	for range written {
	}
	wg.Wait()
	return removed
}

// write puts sessions 0 to n-1 into the registry in bulk.
func write(t *testing.T, rdb *redis.Client, layout registry.Layout, n int, updated int64, wanted func(int) bool) {
	t.Helper()
	pipe := rdb.Pipeline()
	for i := range n {
		if wanted(i) {
			writeSession(t.Context(), pipe, layout, fmt.Sprintf("session %d", i), "s", updated)
		}
		if pipe.Len() >= 1000 || i == n-1 {
			if _, err := pipe.Exec(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}
