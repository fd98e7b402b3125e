package buffer

import (
	"errors"
	"testing"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

var globCases = []struct {
	pattern, name string
	want          bool
}{
	{"*", "", true},
	{"*", "any/thing:at all", true},
	{"rocket-*", "rocket-7", true},
	{"rocket-*", "rocket", false},
	{"*-7", "rocket-7", true},
	{"a*b*c", "a-b-b-c", true},
	{"a*b*c", "a-b-b", false},
	{"car ?", "car 7", true},
	{"car ?", "car 77", false},
	{"car [0-9]", "car 7", true},
	{"car [9-0]", "car 7", true},
	{"car [^0-9]", "car 7", false},
	{"car [^0-9]", "car x", true},
	{"car [abc", "car b", true},
	{`star\*`, "star*", true},
	{`star\*`, "stars", false},
	{`[\]]`, "]", true},
	{`end\`, `end\`, true},
	{"", "", true},
	{"", "x", false},
	{"\xff*", "\xff\xfe", true},
	{"**", "x", true},
	{"x", "xx", false},
	{"[", "[", false},
	{"[^", "a", true},
}

func TestGlobMatch(t *testing.T) {
	t.Parallel()
	for _, c := range globCases {
		if got := globMatch(c.pattern, c.name); got != c.want {
			t.Errorf("%q matches %q: %v, want %v", c.pattern, c.name, got, c.want)
		}
	}
}

// What a pattern means is what Redis says it means.
func TestGlobMatchAgreesWithRedis(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for _, c := range globCases {
		if c.pattern == "" {
			continue // KEYS with an empty pattern finds nothing, not the empty key
		}
		if err := s.Client.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		s.Client.Set(t.Context(), c.name, 1, 0)
		keys, err := s.Client.Keys(t.Context(), c.pattern).Result()
		if err != nil {
			t.Fatal(err)
		}
		if got := len(keys) == 1; got != globMatch(c.pattern, c.name) {
			t.Errorf("Redis: %q matches %q: %v", c.pattern, c.name, got)
		}
	}
}

func TestOnlyCommasSeparatePatterns(t *testing.T) {
	for _, text := range []string{"car;1", "rocket-*;car", `"car" ;lap`, ";", "a, b;c"} {
		if ps, err := ParsePatterns(text); !errors.Is(err, ErrSemicolon) {
			t.Errorf("%s was read as %v, %v", text, ps, err)
		}
	}
	for _, text := range []string{`"car;1"`, `car\;1`, `lap, "car;1"`} {
		ps, err := ParsePatterns(text)
		if err != nil || !ps.Match("car;1") || ps.Match("car") || ps.Match("1") {
			t.Errorf("%s was read as %v, %v", text, ps, err)
		}
	}
}

func TestParsePatternsSplitsOutsideQuotes(t *testing.T) {
	t.Parallel()
	ps, err := ParsePatterns(`rocket-*, "odd; name, \xff" ,lap`)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"rocket-1": true, "odd; name, \xff": true, "lap": true, "odd": false, "": false} {
		if got := ps.Match(name); got != want {
			t.Errorf("%q matches: %v, want %v", name, got, want)
		}
	}
	if _, err := ParsePatterns(`"never closed`); err == nil {
		t.Error("an open quote was taken")
	}
}

func FuzzGlobMatchEnds(f *testing.F) {
	for _, c := range globCases {
		f.Add(c.pattern, c.name)
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if got := globMatch("*"+pattern, name); !got && globMatch(pattern, name) {
			t.Errorf("%q matches %q, but not behind a star", pattern, name)
		}
	})
}
