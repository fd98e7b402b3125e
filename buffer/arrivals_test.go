package buffer

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// marksOf are the marks in the order of their sessions, the newest first.
func marksOf(a Arrived) string {
	slices.SortFunc(a.Marks, func(a, b MessageRef) int {
		if c := strings.Compare(a.Session, b.Session); c != 0 {
			return c
		}
		return b.ID.Compare(a.ID)
	})
	return fmt.Sprint(a.Marks)
}

func TestArrivalsGiveTheTwoNewestOfEachSession(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, url string, rdb *redis.Client) {
		ctx := t.Context()
		long := strings.Repeat("7", 100)
		start := time.Now().Add(-time.Hour).UnixMilli()
		at := func(i int) string { return fmt.Sprintf("%d-1", start+int64(i)) }
		for i := 1; i <= 20; i++ {
			rdb.XAdd(ctx, &redis.XAddArgs{Stream: "stream:a", ID: at(i), Values: []any{"id", i % 2, "data", "xyz"}})
		}
		rdb.XAdd(ctx, &redis.XAddArgs{Stream: "stream:a", ID: at(21), Values: []any{"id", long}})
		rdb.XAdd(ctx, &redis.XAddArgs{Stream: "stream:a", ID: at(22), Values: []any{"data", "of nobody"}})
		rdb.Set(ctx, "stream:b", "x", 0)
		rdb.XAdd(ctx, &redis.XAddArgs{Stream: "stream:emptied", ID: at(5), Values: []any{"id", 1}})
		rdb.XTrimMaxLen(ctx, "stream:emptied", 0)
		b := open(t, url, func(o *Options) { o.ReadOnly = true })
		id := func(i int) ID { return ID{uint64(start + int64(i)), 1} }
		ask := Arrivals{Stream: "a", Messages: 100, Bytes: 1 << 20}
		few, after, since := ask, ask, ask
		few.Messages, after.After, after.Before, since.Since = 3, id(17), id(20), time.UnixMilli(start+19)
		got, err := b.Arrivals(ctx, []Arrivals{few, after, since, {Stream: "b", Messages: 1, Bytes: 1}, {Stream: "none", Messages: 1, Bytes: 1}, {Stream: "emptied", Messages: 1, Bytes: 1}})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []Arrived{
			{Marks: []MessageRef{{id(20), "0"}, {id(21), SessionRef(long)}}, Messages: 3, Newest: id(22), Oldest: id(20)},
			{Marks: []MessageRef{{id(18), "0"}, {id(19), "1"}}, Messages: 2, Newest: id(19), Oldest: id(18), End: true},
			{Marks: []MessageRef{{id(20), "0"}, {id(19), "1"}, {id(21), SessionRef(long)}}, Messages: 4, Newest: id(22), Oldest: id(19), End: true},
			{End: true}, {End: true}, {End: true, Emptied: id(5)},
		} {
			g := got[i]
			if marksOf(g) != marksOf(want) || g.Messages != want.Messages || g.Newest != want.Newest || g.Oldest != want.Oldest || g.End != want.End || g.Emptied != want.Emptied || g.Err != nil {
				t.Errorf("%d: got %+v, want %+v", i, g, want)
			}
		}
		if len(SessionRef(long)) != 40 || got[0].Bytes != int64(len("dataof nobody")+len("id")+100+len("id0dataxyz")) {
			t.Errorf("%q, %d bytes", SessionRef(long), got[0].Bytes)
		}
	})
}

func TestSpreadLooksAtPointsInOrder(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, url string, rdb *redis.Client) {
		ctx := t.Context()
		start := time.Now().Add(-time.Hour)
		for i := range 100 {
			rdb.XAdd(ctx, &redis.XAddArgs{Stream: "stream:a", ID: fmt.Sprintf("%d-0", start.Add(time.Duration(i)*time.Second).UnixMilli()), Values: []any{"id", i}})
		}
		b := open(t, url, func(o *Options) { o.ReadOnly = true })
		var points []time.Time
		for i := range 20 {
			points = append(points, start.Add(time.Duration(i)*5*time.Second-time.Second))
		}
		done, a, err := b.Spread(ctx, "a", points, TimeID(start.Add(50*time.Second)), 1<<20)
		var got []string
		for _, m := range a.Marks {
			got = append(got, m.Session)
		}
		// The last points lie past the largest id.
		if want := "0 4 9 14 19 24 29 34 39 44 49"; err != nil || done != 20 || strings.Join(got, " ") != want {
			t.Errorf("%d points, %v, %v", done, got, err)
		}
		if done, a, err := b.Spread(ctx, "none", points, TimeID(start), 1); done != 20 || a.Messages != 0 || err != nil {
			t.Errorf("without a stream: %d, %+v, %v", done, a, err)
		}
	})
}

// One call looks at so many bytes as TRIM_MAX_STALL allows, and at one entry at
// least.
func TestALookIsBoundInBytes(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	payload := strings.Repeat("x", 64<<10)
	for i := range 40 {
		if i == 20 {
			payload = strings.Repeat("x", 2<<20)
		}
		if i == 21 {
			payload = strings.Repeat("x", 100<<10)
		}
		s.Client.XAdd(ctx, &redis.XAddArgs{Stream: "stream:a", Values: []any{"id", i, "data", payload}})
	}
	b := open(t, s.URL(), nil)
	ask := Arrivals{Stream: "a", Messages: 1000, Bytes: 1 << 30}
	messages, calls := 0, 0
	for {
		got, err := b.Arrivals(ctx, []Arrivals{ask})
		if err != nil || got[0].Err != nil {
			t.Fatal(err, got)
		}
		if a := got[0]; a.Messages > 1 && a.Bytes > lookBytes+2<<20 || a.Messages > 6 || a.Messages == 0 && !a.End {
			t.Fatalf("one call: %+v", a)
		}
		messages, calls, ask.Before = messages+got[0].Messages, calls+1, got[0].Oldest
		if got[0].End {
			break
		}
	}
	if messages != 40 || calls < 7 {
		t.Errorf("%d messages in %d calls", messages, calls)
	}
	points := make([]time.Time, 100)
	for i := range points {
		points[i] = time.Now().Add(time.Duration(i-1000) * time.Second)
	}
	if done, a, err := b.Spread(ctx, "a", points, TimeID(time.Now().Add(time.Hour)), 1); err != nil || done != 1 || a.Messages != 1 {
		t.Errorf("%d points, %+v, %v", done, a, err)
	}
}
