package buffer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestTheFirstSightingIsKept(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, url string, _ *redis.Client) {
		ctx := t.Context()
		b := open(t, url, nil)
		first := time.UnixMilli(1763874856000).UTC()
		for _, now := range []time.Time{first, first.Add(time.Hour)} {
			if ok, err := b.Sight(ctx, []string{"a", "", "\xff"}, now); err != nil || !ok {
				t.Fatal(ok, err)
			}
		}
		if err := b.Unsight(ctx, []string{"a"}); err != nil {
			t.Fatal(err)
		}
		got, err := b.Sightings(ctx, []string{"a", "", "\xff", "never"})
		if want := []time.Time{{}, first, first, {}}; err != nil || !slices.Equal(got, want) {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
		var names []string
		if err := b.WalkSighted(ctx, func(page []string) error {
			names = append(names, page...)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if slices.Sort(names); !slices.Equal(names, []string{"", "\xff"}) {
			t.Errorf("sighted are %q", names)
		}
	})
}

func TestFactsAreReadAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, url string, rdb *redis.Client) {
		ctx := t.Context()
		b := open(t, url, nil)
		if f, err := b.Left(ctx); err != nil || len(f) != 0 {
			t.Errorf("at first there is %v, %v", f, err)
		}
		if err := b.SetLeft(ctx, StateFields{"sessions": 5, "streams": 0}); err != nil {
			t.Fatal(err)
		}
		if noted, err := b.SetHeld(ctx, StateFields{"since_ms": 7}); err != nil || !noted {
			t.Fatal(noted, err)
		}
		if f, err := b.Left(ctx); err != nil || f["sessions"] != 5 || len(f) != 2 {
			t.Errorf("left is %v, %v", f, err)
		}
		if noted, err := b.SetHeld(ctx, nil); err != nil || !noted {
			t.Fatal(noted, err)
		}
		if f, err := b.Held(ctx); err != nil || len(f) != 0 || rdb.Exists(ctx, "streamkeeper:brake").Val() != 0 {
			t.Errorf("held is %v, %v", f, err)
		}
	})
}

func TestOutOfMemoryNothingIsKnownRatherThanSomethingStale(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	b := open(t, s.URL(), nil)
	if err := b.SetLeft(ctx, StateFields{"sessions": 5}); err != nil {
		t.Fatal(err)
	}
	fill(t, s)
	if err := b.SetLeft(ctx, StateFields{"sessions": 4}); err != nil {
		t.Fatal(err)
	}
	if f, err := b.Left(ctx); err != nil || len(f) != 0 {
		t.Errorf("left is %v, %v", f, err)
	}
	if noted, err := b.SetHeld(ctx, StateFields{"since_ms": 7}); err != nil || noted {
		t.Errorf("noted %v, %v", noted, err)
	}
	if ok, err := b.Sight(ctx, []string{"a"}, time.Now()); err != nil || ok {
		t.Errorf("sighted %v, %v", ok, err)
	}
}

// Whatever lies in the buffer, our notes of it do not grow for ever.
func TestOurOwnKeysAreBoundedInBytesAndTime(t *testing.T) {
	s := redistest.Start(t)
	ctx := t.Context()
	b := open(t, s.URL(), nil)
	long := strings.Repeat("long ", MaxNote)
	for name, n := range map[string]time.Time{"old": time.Now().Add(-KeepState - time.Hour), "young": time.Now().Add(-KeepState + time.Hour)} {
		for _, key := range []string{"retired", "relisted", "sighted", "groups"} {
			s.Client.ZAdd(ctx, "streamkeeper:"+key, redis.Z{Score: float64(n.UnixMilli()), Member: name})
		}
	}
	for _, name := range []string{"new", long} {
		makeDead(t, s.Client, name)
		want := Retired
		if name == long {
			want = RetiredListed
		}
		if end, err := b.Retire(ctx, name, deadID, GroupLimits{IdleAfter: retireAfter}); err != nil || end != want {
			t.Fatalf("retiring %.10q: %v, %v", name, end, err)
		}
	}
	if got, err := b.Retired(ctx, []string{"old", "young", "new", long}); err != nil || !slices.Equal(got, []bool{false, true, true, false}) {
		t.Errorf("remembered are %v, %v", got, err)
	}
	if err := b.NoteRelisted(ctx, long); err != nil {
		t.Error(err)
	}
	if got, err := b.Relisted(ctx, []string{long}); err != nil || got[0].IsZero() {
		t.Errorf("a long name was listed again at %v, %v", got, err)
	}
	now := time.Now()
	many := []string{long}
	for i := range MaxRemembered + 1 {
		many = append(many, fmt.Sprint("name ", i))
	}
	if ok, err := b.Sight(ctx, many, now); err != nil || !ok {
		t.Fatal(ok, err)
	}
	group := StreamGroup{Stream: "a", Group: long}
	if err := b.NoteGroups(ctx, []StreamGroup{group, {Stream: "a", Group: "b"}}, now); err != nil {
		t.Fatal(err)
	}
	if _, err := b.SetHeld(ctx, StateFields{"a": 1}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.SetLeft(ctx, StateFields{"a": 1}), b.SetTrimPolicy(ctx, StateFields{"a": 1})); err != nil {
		t.Fatal(err)
	}
	if n := s.Client.ZCard(ctx, "streamkeeper:sighted").Val(); n != MaxRemembered {
		t.Errorf("%d names are sighted", n)
	}
	for _, key := range s.Client.Keys(ctx, "streamkeeper:*").Val() {
		if left := s.Client.PTTL(ctx, key).Val(); left <= KeepState-time.Hour || left > KeepState {
			t.Errorf("%s lasts for %s", key, left)
		}
		if s.Client.Type(ctx, key).Val() != "zset" {
			continue
		}
		for _, member := range s.Client.ZRange(ctx, key, 0, -1).Val() {
			if len(member) > MaxNote || member == "old" {
				t.Errorf("%s has the note %.10q of %d bytes", key, member, len(member))
			}
		}
	}
}

func TestOnlyTheLatestRetiredNamesAreRemembered(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	b := open(t, s.URL(), nil)
	members := make([]redis.Z, 0, 1000)
	begin := time.Now().Add(-time.Hour).UnixMilli()
	for i := range MaxRemembered {
		members = append(members, redis.Z{Score: float64(begin + int64(i)), Member: fmt.Sprint(i)})
		if len(members) == cap(members) {
			if err := s.Client.ZAdd(ctx, "streamkeeper:retired", members...).Err(); err != nil {
				t.Fatal(err)
			}
			members = members[:0]
		}
	}
	makeDead(t, s.Client, "new")
	if end, err := b.Retire(ctx, "new", deadID, GroupLimits{IdleAfter: retireAfter}); err != nil || end != Retired {
		t.Fatal(end, err)
	}
	got, err := b.Retired(ctx, []string{"0", "1", "new"})
	if n := s.Client.ZCard(ctx, "streamkeeper:retired").Val(); err != nil || n != MaxRemembered || !slices.Equal(got, []bool{false, true, true}) {
		t.Errorf("%d are remembered, %v, %v", n, got, err)
	}
	// The time is the server's, in milliseconds.
	score := s.Client.ZScore(ctx, "streamkeeper:retired", "new").Val()
	if ago := time.Since(time.UnixMilli(int64(score))); ago < -time.Minute || ago > time.Minute {
		t.Errorf("the stream was retired %s ago", ago)
	}
}

func TestReturnedGivesTheRememberedThatHaveAKey(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, url string, rdb *redis.Client) {
		ctx := t.Context()
		exclude, err := ParsePatterns("theirs")
		if err != nil {
			t.Fatal(err)
		}
		b := open(t, url, func(o *Options) { o.Exclude = exclude })
		for _, name := range append([]string{"theirs", "gone"}, oddNames...) {
			rdb.ZAdd(ctx, "streamkeeper:retired", redis.Z{Score: 5, Member: name})
			if name != "gone" {
				rdb.XAdd(ctx, &redis.XAddArgs{Stream: "stream:" + name, Values: []any{"id", 1}})
			}
		}
		var got []string
		if err := b.Returned(ctx, func(back []Return) error {
			for _, r := range back {
				if got = append(got, r.Stream); r.Noted.UnixMilli() != 5 {
					t.Errorf("%q was noted at %s", r.Stream, r.Noted)
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		want := slices.Sorted(slices.Values(oddNames))
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestTwoKeepersNotesOfOneStreamNeverHaveTheSameTime(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	b := openAs(t, redisconn.Connection{URL: s.URL()})
	var last time.Time
	for range 200 {
		n, err := b.remember(t.Context(), "a", isRetired)
		if err != nil {
			t.Fatal(err)
		}
		if !n.at.After(last) {
			t.Fatalf("a note at %s after one at %s", n.at, last)
		}
		last = n.at
	}
}
