package buffer

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestTrimsAreSummedByStreamAndHour(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		ctx, server := t.Context(), start(t)
		b := openOn(t, server.URL())
		now := time.Now().UTC()
		hour := now.Truncate(time.Hour)
		sum := func(at time.Time, sums ...TrimSum) {
			t.Helper()
			if err := b.SumTrims(ctx, at, sums); err != nil {
				t.Fatal(err)
			}
		}
		sum(now.Add(-time.Hour), TrimSum{Stream: "o\xff", After: ID{5, 1}, Entries: 7, Reasons: []string{"age"}, Instance: "a b/1"})
		sum(now, TrimSum{Stream: "o\xff", Before: ID{5, 1}, After: ID{6, 0}, Entries: 2, Reasons: []string{"length"}, Instance: "x/1"})
		sum(now, TrimSum{Stream: "o\xff", Before: ID{6, 0}, After: ID{9, 0}, Entries: 3, Reasons: []string{"length", "age"}, Instance: "x/2"}, TrimSum{Stream: "p", Entries: 1})
		want := []TrimSum{
			{Stream: "o\xff", Hour: hour, Before: ID{5, 1}, After: ID{9, 0}, Entries: 5, Reasons: []string{"length", "age"}, Instance: "x/2"},
			{Stream: "p", Hour: hour, Entries: 1, Reasons: []string{"?"}},
			{Stream: "o\xff", Hour: hour.Add(-time.Hour), After: ID{5, 1}, Entries: 7, Reasons: []string{"age"}, Instance: "a b/1"},
		}
		if got, err := b.TrimSums(ctx, now, nil); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v\ngot  %+v\nwant %+v", err, got, want)
		}
		if got, err := b.TrimSums(ctx, now, []string{"p", "q"}); err != nil || !reflect.DeepEqual(got, want[1:2]) {
			t.Errorf("%v, one stream: %+v", err, got)
		}
		if got, err := b.OldestKept(ctx, now, []string{"o\xff", "q"}); err != nil || !reflect.DeepEqual(got, map[string]ID{"o\xff": {9, 0}}) {
			t.Errorf("%v, the oldest: %+v", err, got)
		}
		if left := server.Client.PTTL(ctx, b.trimsKey(now)).Val(); left <= 0 || left > TrimHours*time.Hour {
			t.Errorf("they last for %s", left)
		}
		// Streams beyond the bound have no sum, and those that have one keep it.
		var many []TrimSum
		for i := range MaxTrimSums + 150 {
			many = append(many, TrimSum{Stream: fmt.Sprint(i), Entries: 1})
		}
		sum(now, many...)
		sum(now, TrimSum{Stream: "p", Entries: 1})
		if n := server.Client.HLen(ctx, b.trimsKey(now)).Val(); n != MaxTrimSums {
			t.Errorf("%d sums", n)
		}
		if got, err := b.TrimSums(ctx, now, []string{"p"}); err != nil || len(got) != 1 || got[0].Entries != 2 {
			t.Errorf("%v, one more: %+v", err, got)
		}
		// What is another's stays as it is.
		server.Client.Set(ctx, b.trimsKey(now), "x", 0)
		if got, err := b.TrimSums(ctx, now, nil); err != nil || len(got) != 1 {
			t.Errorf("%v, %+v", err, got)
		}
	})
}

func FuzzSumsOfTrimsAreReadOrLeft(f *testing.F) {
	f.Add("5-1 9-0 5 length,age x/2")
	f.Add("5-1 9-0")
	f.Fuzz(func(t *testing.T, text string) {
		if s, ok := parseTrimSum(text); ok && len(s.Reasons) == 0 {
			t.Errorf("%q: %+v", text, s)
		}
	})
}
