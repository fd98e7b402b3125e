package buffer

import (
	"strings"
	"testing"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestWhatIsThereIsNotCalledAbsent(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ctx := t.Context()
	absence := func(change func(*Options)) string {
		return open(t, server.URL(), change).Absence(ctx)
	}
	include := func(text string) func(*Options) { return func(o *Options) { o.Include, _ = ParsePatterns(text) } }
	exclude := func(text string) func(*Options) { return func(o *Options) { o.Exclude, _ = ParsePatterns(text) } }
	server.Client.HSet(ctx, "sessions", "car", `{"streamName":"car","lastUpdated":1}`)
	if got := absence(nil); !strings.Contains(got, "there are no streams (key streams) in database 0 of redis://") ||
		!strings.HasSuffix(got, "though there are sessions (sessions): is STREAMS_KEY right?") {
		t.Errorf("sessions alone: %s", got)
	}
	server.Client.SAdd(ctx, "streams", "car")
	if got := absence(exclude("*")); !strings.HasPrefix(got, "there is 1 stream (key streams) in database 0 of ") ||
		!strings.HasSuffix(got, ", which STREAMS_INCLUDE and STREAMS_EXCLUDE do not leave to streamkeeper") {
		t.Errorf("one stream of others: %s", got)
	}
	server.Client.SAdd(ctx, "streams", "bike")
	if got := absence(include("nope*")); !strings.HasPrefix(got, "there are 2 streams (key streams) in ") ||
		!strings.HasSuffix(got, ", none of which STREAMS_INCLUDE and STREAMS_EXCLUDE leave to streamkeeper") {
		t.Errorf("streams of others: %s", got)
	}
	for _, change := range []func(*Options){nil, include("car"), include("*")} {
		if got := absence(change); !strings.HasPrefix(got, "there are 2 streams") || !strings.HasSuffix(got, "in which nothing was found") {
			t.Errorf("streams of ours: %s", got)
		}
	}
}

func TestPatternsThatNoStreamOfOursMatchesAreNamed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Client.SAdd(t.Context(), "streams", "car", "theirs")
	b := open(t, server.URL(), func(o *Options) { o.Exclude, _ = ParsePatterns("theirs") })
	patterns, _ := ParsePatterns("c*,theirs,nobody")
	if used, err := b.Matched(t.Context(), patterns); err != nil || !used[0] || used[1] || used[2] {
		t.Errorf("matched: %v, %v", used, err)
	}
	if got := b.NoMatch([]string{"theirs", "nobody"}); got != "no stream matches theirs, nobody, of those that STREAMS_INCLUDE and STREAMS_EXCLUDE leave to streamkeeper" {
		t.Error(got)
	}
	if got := b.NoMatch(nil); got != "" {
		t.Error(got)
	}
	if got := open(t, server.URL(), nil).NoMatch([]string{"x*"}); got != "no stream matches x*" {
		t.Error(got)
	}
}
