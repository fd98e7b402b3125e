package buffer

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
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
			all := make([]TrimmedNow, len(sums))
			for i, s := range sums {
				s.Gone = -1
				all[i] = TrimmedNow{s, -1}
			}
			if err := b.SumTrims(ctx, at, all); err != nil {
				t.Fatal(err)
			}
		}
		earlier, last := now.Add(-time.Hour).Truncate(time.Millisecond), now.Truncate(time.Millisecond)
		sum(earlier, TrimSum{Stream: "o\xff", After: ID{5, 1}, Entries: 7, Reasons: []string{"age"}, Instance: "a b/1"})
		sum(now, TrimSum{Stream: "o\xff", Before: ID{5, 1}, After: ID{6, 0}, Entries: 2, Bytes: 70, Reasons: []string{"length"}, Instance: "x/1"})
		sum(now, TrimSum{Stream: "o\xff", Before: ID{6, 0}, After: ID{9, 0}, Entries: 3, Bytes: 90, Reasons: []string{"length", "age"}, Instance: "x/2"}, TrimSum{Stream: "p", Entries: 1})
		// What is not known of the beginning stays so.
		sum(earlier, TrimSum{Stream: "o\xff", Before: ID{4, 0}, After: ID{5, 1}, Entries: 1, Reasons: []string{"age"}, Instance: "a b/1"})
		want := []TrimSum{
			{Stream: "o\xff", Hour: hour, Before: ID{5, 1}, After: ID{9, 0}, Entries: 5, Bytes: 160, Others: -1, Gone: -1, Last: last, Reasons: []string{"length", "age"}, Instance: "x/2"},
			{Stream: "p", Hour: hour, Entries: 1, Others: -1, Gone: -1, Last: last, Reasons: []string{"?"}},
			{Stream: "o\xff", Hour: hour.Add(-time.Hour), After: ID{5, 1}, Entries: 8, Others: -1, Gone: -1, Last: earlier, Reasons: []string{"age"}, Instance: "a b/1"},
		}
		if got, err := b.TrimSums(ctx, now, nil); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v\ngot  %+v\nwant %+v", err, got, want)
		}
		if got, err := b.TrimSums(ctx, now, []string{"p", "q"}); err != nil || !reflect.DeepEqual(got, want[1:2]) {
			t.Errorf("%v, one stream: %+v", err, got)
		}
		if got, err := b.LastTrims(ctx, now, []string{"o\xff", "q"}); err != nil || !reflect.DeepEqual(got, map[string]TrimSum{"o\xff": want[0]}) {
			t.Errorf("%v, the last: %+v", err, got)
		}
		if got, err := b.TrimHoursKept(ctx, now); err != nil || !reflect.DeepEqual(got, []TrimHour{{hour, 2}, {hour.Add(-time.Hour), 1}}) {
			t.Errorf("%v, the hours: %+v", err, got)
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
		// What is another's stays as it is, and is no record without trims.
		server.Client.Set(ctx, b.trimsKey(now), "x", 0)
		for _, names := range [][]string{nil, {"p"}} {
			if got, err := b.TrimSums(ctx, now, names); redisconn.ClassOf(err) != redisconn.ClassWrongType || !strings.Contains(err.Error(), b.trimsKey(now)) {
				t.Errorf("%v, %+v", err, got)
			}
		}
		if got, err := b.TrimHoursKept(ctx, now); redisconn.ClassOf(err) != redisconn.ClassWrongType {
			t.Errorf("%v, %+v", err, got)
		}
	})
}

func TestEntriesThatWentWithoutUsAreCounted(t *testing.T) {
	ctx, server := t.Context(), redistest.Start(t)
	b := openOn(t, server.URL())
	now := time.Now().UTC()
	for _, step := range []struct {
		name                        string
		after                       time.Duration
		entries, gone, before       int64
		wantOthers, wantGone, total int64
	}{
		{"all that ever went went by us", 0, 10, 10, -1, 0, 10, 10},
		{"while a run lasts nobody is blamed", 0, 5, -1, -1, 0, 15, 15},
		{"at its end all is as it should be", 0, 5, 20, -1, 0, 20, 20},
		{"seven went without us", 0, 1, 28, -1, 7, 28, 21},
		{"another instance of ours is late", 0, 1, 32, -1, 10, 32, 22},
		{"and has written by then", 0, 3, 32, -1, 7, 32, 25},
		{"the stream began anew", 0, 2, 2, -1, 0, 2, 27},
		{"in the next hour two went", time.Hour, 4, 8, 2, 2, 8, 4},
		{"of a run that lasts nothing is known", 2 * time.Hour, 4, -1, -1, -1, -1, 4},
		{"at its end neither", 2 * time.Hour, 4, 90, -1, -1, 90, 8},
		{"from then on it is", 2 * time.Hour, 1, 92, -1, 1, 92, 9},
	} {
		at := now.Add(step.after)
		add := TrimmedNow{TrimSum{Stream: "s", Entries: step.entries, Gone: step.gone, Reasons: []string{"age"}, Instance: "i"}, step.before}
		if err := b.SumTrims(ctx, at, []TrimmedNow{add}); err != nil {
			t.Fatal(err)
		}
		sums, err := b.TrimSums(ctx, at, []string{"s"})
		if err != nil || len(sums) == 0 || sums[0].Others != step.wantOthers || sums[0].Gone != step.wantGone || sums[0].Entries != step.total {
			t.Errorf("%s: %v, %+v", step.name, err, sums)
		}
	}
}

func FuzzSumsOfTrimsAreReadOrLeft(f *testing.F) {
	f.Add("5-1 9-0 5 160 -1 7 1700000000000 length,age a b/2")
	f.Add("5-1 9-0")
	f.Fuzz(func(t *testing.T, text string) {
		if s, ok := parseTrimSum(text); ok && len(s.Reasons) == 0 {
			t.Errorf("%q: %+v", text, s)
		}
	})
}

func TestWhatWeMayHaveTrimmedIsNobodyElses(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	b := openOn(t, s.URL())
	ctx, now := t.Context(), time.Now()
	for i, c := range []struct{ entries, gone, before, others int64 }{
		{10, 10, -1, 0},          // nothing had gone before
		{5, 20, 10, 5},           // 5 went otherwise
		{5, 125, NotRecorded, 5}, // 100 more, which may be ours
		{5, 131, 125, 6},         // one more otherwise
		{5, -1, NotRecorded, 6},  // while a run lasts
		{5, 200, NotRecorded, 6}, // at its end
	} {
		added := TrimmedNow{TrimSum{Stream: "s", Entries: c.entries, Gone: c.gone}, c.before}
		if err := b.SumTrims(ctx, now, []TrimmedNow{added}); err != nil {
			t.Fatal(err)
		}
		sums, err := b.TrimSums(ctx, now, []string{"s"})
		if err != nil || len(sums) != 1 || sums[0].Others != c.others {
			t.Errorf("%d: %+v, %v", i, sums, err)
		}
	}
	for _, c := range []TrimmedNow{
		{TrimSum{Stream: "t", Entries: 10, Gone: 10}, -1}, {TrimSum{Stream: "t", Entries: 5, Gone: 50}, NotRecorded}, {TrimSum{Stream: "t", Entries: 5, Gone: 55}, 50},
	} {
		if err := b.SumTrims(ctx, now, []TrimmedNow{c}); err != nil {
			t.Fatal(err)
		}
	}
	if sums, err := b.TrimSums(ctx, now, []string{"t"}); err != nil || sums[0].Others != -1 || sums[0].Gone != 55 {
		t.Errorf("%+v, %v", sums, err)
	}
}
