package buffer

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

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
