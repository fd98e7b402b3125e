package buffer

import (
	"slices"
	"testing"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestStreamsThatAreNamedAreAskedForWithoutAScan(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		ctx, server := t.Context(), start(t)
		for _, name := range []string{"a", "b", "theirs", "\xff*", ""} {
			server.Client.SAdd(ctx, "streams", name)
		}
		b := openAs(t, redisconn.Connection{URL: server.URL()}, func(o *Options) { o.Exclude, _ = ParsePatterns("theirs") })
		if err := server.ResetCalls(ctx); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct{ ask, want []string }{
			{[]string{"b", "nobody", "b", "theirs", "\xff*"}, []string{"b", "\xff*"}},
			{[]string{""}, []string{""}},
			{nil, nil},
		} {
			only := b.OnlyNames(append([]string{}, c.ask...))
			var got []string
			if err := only.WalkStreams(ctx, func(names []string) error { got = append(got, names...); return nil }); err != nil {
				t.Fatal(err)
			}
			slices.Sort(got)
			if !slices.Equal(got, c.want) {
				t.Errorf("of %q: %q", c.ask, got)
			}
			for _, name := range []string{"a", "b", "theirs"} {
				if want := name != "theirs" && slices.Contains(c.ask, name); only.Owns(name) != want {
					t.Errorf("of %q: owns %q: %t", c.ask, name, !want)
				}
			}
		}
		calls, err := server.CommandCalls(ctx)
		if err != nil || calls["sscan"] > 0 {
			t.Errorf("the calls are %v, %v", calls, err)
		}
	})
}
