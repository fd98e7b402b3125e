package buffer

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func openOn(t *testing.T, url string) *Buffer {
	t.Helper()
	b, err := Open(t.Context(), Options{Connection: redisconn.Connection{URL: url}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func historyOf(t *testing.T, b *Buffer, since time.Time) (all []Removal) {
	t.Helper()
	if err := b.WalkHistory(t.Context(), since, func(r Removal) { all = append(all, r) }); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestTheHistoryHoldsTheNewestRemovals(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		ctx, server := t.Context(), start(t)
		b := openOn(t, server.URL())
		long := strings.Repeat("n", MaxNote+1)
		odd := Removal{Action: "expire", Name: long, Reason: strings.Repeat("ü", MaxNote), Instance: "a b/1"}
		if err := b.Record(ctx, []Removal{{Action: "retire", Name: "o\xff", Reason: "old"}, odd}, 1000); err != nil {
			t.Fatal(err)
		}
		all := historyOf(t, b, time.Time{})
		if len(all) != 2 || all[1].Name != "o\xff" || !NotedAs(long, all[0].Name) || len(all[0].Reason) > MaxNote || all[0].Instance != "a b/1" {
			t.Fatalf("%+v", all)
		}
		if age := time.Since(all[0].Time); age < -time.Minute || age > time.Minute {
			t.Errorf("the time is %s", all[0].Time)
		}
		if left := historyOf(t, b, time.Now().Add(time.Hour)); len(left) > 0 {
			t.Errorf("of the future: %+v", left)
		}
		var many []Removal
		for i := range 500 {
			many = append(many, Removal{Action: "expire", Name: fmt.Sprint(i)})
		}
		for range 6 {
			if err := b.Record(ctx, many, 1000); err != nil {
				t.Fatal(err)
			}
		}
		all = historyOf(t, b, time.Time{})
		if n := len(all); n < 1000 || n > 1100 || all[0].Name != "499" || all[999].Name != "0" {
			t.Errorf("%d entries, the newest %+v", n, all[0])
		}
		if left := server.Client.PTTL(ctx, "streamkeeper:history").Val(); left <= 0 || left > KeepState {
			t.Errorf("it lasts for %s", left)
		}
		// What is another's stays as it is.
		server.Client.Set(ctx, "streamkeeper:history", "x", 0)
		if err := b.Record(ctx, many, 1000); redisconn.ClassOf(err) != redisconn.ClassWrongType {
			t.Error(err)
		}
		err := b.WalkHistory(ctx, time.Time{}, func(r Removal) { t.Errorf("%+v", r) })
		if redisconn.ClassOf(err) != redisconn.ClassWrongType || !strings.Contains(err.Error(), `"streamkeeper:history"`) {
			t.Errorf("a history of another type: %v", err)
		}
		// Nor is what has no action.
		server.Client.Del(ctx, "streamkeeper:history")
		server.Client.XAdd(ctx, &redis.XAddArgs{Stream: "streamkeeper:history", Values: []any{"n", "x"}})
		if all := historyOf(t, b, time.Time{}); len(all) > 0 {
			t.Errorf("%+v", all)
		}
	})
}

func TestAGapThatLastsTakesTheRoomOfOneRemoval(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		ctx, server := t.Context(), start(t)
		b := openOn(t, server.URL())
		if err := b.Record(ctx, []Removal{{Action: "expire", Name: "a"}, {Action: "expire", Name: "b"}}, 10); err != nil {
			t.Fatal(err)
		}
		server.Client.ConfigSet(ctx, "maxmemory", "1")
		gap := func(reason, instance string) {
			t.Helper()
			if err := b.RecordGap(ctx, 2, reason, instance); err != nil {
				t.Fatal(err)
			}
		}
		gap("no memory", "i")
		began := historyOf(t, b, time.Time{})[0].Time
		for range 5 {
			gap("no memory", "i")
		}
		all := historyOf(t, b, time.Time{})
		if len(all) != 2 || all[0].Missing() != 12 || !all[0].Since.Equal(began) || all[1].Name != "b" || !all[1].Since.IsZero() {
			t.Errorf("%+v", all)
		}
		server.Client.ConfigSet(ctx, "maxmemory", "0")
		gap("no memory", "another")
		gap("no right", "another")
		all = historyOf(t, b, time.Time{})
		if len(all) != 2 || all[0].Missing() != 2 || all[1].Missing() != 14 || all[0].Reason != "no right" || all[1].Instance != "another" {
			t.Errorf("gaps for other reasons: %+v", all)
		}
	})
}

func TestAGapIsShownOutOfMemoryToo(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		for _, before := range []int{0, 1, 3} {
			ctx, server := t.Context(), start(t)
			b := openOn(t, server.URL())
			one := []Removal{{Action: "expire", Name: "s"}}
			for range before {
				if err := b.Record(ctx, one, 10); err != nil {
					t.Fatal(err)
				}
			}
			server.Client.ConfigSet(ctx, "maxmemory", "1")
			if err := b.Record(ctx, one, 10); redisconn.ClassOf(err) != redisconn.ClassOOM {
				t.Fatal(err)
			}
			for _, gap := range []struct {
				n        int64
				instance string
			}{{5, "a"}, {7, "a"}, {1, "b"}} {
				if err := b.RecordGap(ctx, gap.n, "no memory", gap.instance); err != nil {
					t.Fatal(err)
				}
			}
			all := historyOf(t, b, time.Time{})
			missing := int64(0)
			for _, r := range all {
				missing += r.Missing()
			}
			if len(all) != max(before, 1) || missing != 13 || all[0].Action != Gap {
				t.Errorf("%+v", all)
			}
		}
	})
}

func TestTheNewestRemovalsAreReadAlone(t *testing.T) {
	ctx, server := t.Context(), redistest.Start(t)
	b := openOn(t, server.URL())
	if all, err := b.NewestRemovals(ctx, 3); err != nil || len(all) > 0 {
		t.Errorf("%+v, %v", all, err)
	}
	var many []Removal
	for i := range 9 {
		many = append(many, Removal{Action: "expire", Name: fmt.Sprint(i)})
	}
	if err := b.Record(ctx, many, 100); err != nil {
		t.Fatal(err)
	}
	if all, err := b.NewestRemovals(ctx, 3); err != nil || len(all) != 3 || all[0].Name != "8" || all[2].Name != "6" {
		t.Errorf("%+v, %v", all, err)
	}
	server.Client.Set(ctx, "streamkeeper:history", "x", 0)
	if _, err := b.NewestRemovals(ctx, 3); redisconn.ClassOf(err) != redisconn.ClassWrongType {
		t.Error(err)
	}
}

// A tenth of the default length, with names that do not compress, reasons and the name
// of a Pod: each entry takes as much among ten times as many.
func TestADefaultHistoryIsSmallAndQuicklyRead(t *testing.T) {
	const length = DefaultHistoryLength / 10
	ctx, server := t.Context(), redistest.Start(t)
	b := openOn(t, server.URL())
	last := ""
	for i := 0; i < length; i += 500 {
		var part []Removal
		for range 500 {
			u := make([]byte, 16)
			_, _ = rand.Read(u)
			last = fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
			part = append(part, Removal{Action: "expire", Name: last, Reason: "not updated for 1d1h (limit 1d)", Instance: "streamkeeper-7d9f8b6c5d-x2x4z/1"})
		}
		if err := b.Record(ctx, part, length); err != nil {
			t.Fatal(err)
		}
	}
	bytes := server.Client.MemoryUsage(ctx, "streamkeeper:history", 0).Val()
	started, found := time.Now(), 0
	if err := b.WalkHistory(ctx, time.Time{}, func(r Removal) {
		if NotedAs(last, r.Name) {
			found++
		}
	}); err != nil {
		t.Fatal(err)
	}
	took := time.Since(started)
	t.Logf("%d bytes, read in %s", bytes, took)
	if bytes > 1.6e6+16_384 || found != 1 { // the last macro node may be over the length
		t.Errorf("%d bytes, found %d times", bytes, found)
	}
}
