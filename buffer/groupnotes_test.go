package buffer

import (
	"maps"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestGroupsWithoutConsumersAreRememberedOnceAndForgotten(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	others, err := ParsePatterns("other*")
	if err != nil {
		t.Fatal(err)
	}
	b := open(t, s.URL(), func(o *Options) { o.Exclude = others })
	ctx := t.Context()
	first := time.UnixMilli(1_700_000_000_000)
	a, odd, other := StreamGroup{"a", "g:1"}, StreamGroup{"5:\xff", ""}, StreamGroup{"other", "g"}
	check := func(want map[StreamGroup]time.Time) {
		t.Helper()
		got, err := b.GroupNotes(ctx)
		if err != nil || !maps.EqualFunc(got, want, time.Time.Equal) {
			t.Errorf("remembered %v, %v; want %v", got, err, want)
		}
	}
	check(nil)
	for _, now := range []time.Time{first, first.Add(time.Hour)} {
		if err := b.NoteGroups(ctx, []StreamGroup{a, odd, other}, now); err != nil {
			t.Fatal(err)
		}
		check(map[StreamGroup]time.Time{a: first, odd: first})
	}
	if err := b.ForgetGroups(ctx, []StreamGroup{a}); err != nil {
		t.Fatal(err)
	}
	check(map[StreamGroup]time.Time{odd: first})
	// Out of memory nothing is noted, and what is there can be forgotten.
	s.Client.ConfigSet(ctx, "maxmemory", "1")
	if err := b.NoteGroups(ctx, []StreamGroup{a}, first); err != nil {
		t.Error(err)
	}
	if err := b.ForgetGroups(ctx, []StreamGroup{odd}); err != nil {
		t.Error(err)
	}
	check(nil)
	// Nor where the key holds another type.
	s.Client.ConfigSet(ctx, "maxmemory", "0")
	s.Client.Set(ctx, "streamkeeper:groups", "taken", 0)
	if err := b.NoteGroups(ctx, []StreamGroup{a}, first); err != nil {
		t.Error(err)
	}
	if err := b.ForgetGroups(ctx, []StreamGroup{odd}); err != nil {
		t.Error(err)
	}
	check(nil)
}

func FuzzGroupName(f *testing.F) {
	f.Add("a", "g", "1:ag")
	f.Add("5:\xff", "", "99999999999999999999:x")
	f.Add("", ":", "-1:x")
	f.Fuzz(func(t *testing.T, stream, group, member string) {
		want := StreamGroup{stream, group}
		if got, ok := parseMember(want.member()); !ok || got != want {
			t.Errorf("%+v reads back as %+v, %t", want, got, ok)
		}
		// Whatever lies in the key is read or skipped.
		parseMember(member)
	})
}
