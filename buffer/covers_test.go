package buffer

import (
	"math/rand/v2"
	"testing"
)

func TestAPatternCoversAnother(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, other string
		want           bool
	}{
		{"*", "car", true},
		{"*", `""`, true},
		{"*", "*", true},
		{"car", "car", true},
		{"car", `"car"`, true},
		{`"car"`, "car", true},
		{`"car"`, "ca[r]", true},
		{`"car"`, "ca?", false},
		{`"car*"`, "car*", false},
		{`"car*"`, `car\*`, true},
		{"car-*", "car-1", true},
		{"car-*", "car-1*", true},
		{"car-1*", "car-*", false},
		{"car-*", "car-?", true},
		{"car-?", "car-*", false},
		{"car-?", "car-[0-9]", true},
		{"car-[0-9]", "car-[2-4]", true},
		{"car-[0-9]", "car-[^a]", false},
		{"car-[^a]", "car-[0-9]", true},
		{"car-[^a]", "car-[^ab]", true},
		{"*-*", "car-*", true},
		{"*a*b*", "xa?b", true},
		{"*a*b*", "xb?a", false},
		{"*?", "?*", true},
		{"?*", "*", false},
		{"?*", "*??*", true},
		{`\*`, "*", false},
		{`*x`, `*\x`, true},
		{"*ab", "*a*b", false},
	} {
		pattern, err := ParsePattern(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		other, err := ParsePattern(c.other)
		if err != nil {
			t.Fatal(err)
		}
		if got := pattern.Covers(other); got != c.want {
			t.Errorf("%s covers %s: %v, want %v", c.pattern, c.other, got, c.want)
		}
	}
}

// oddPattern is a pattern in the letters of the names of oddName.
func oddPattern(r *rand.Rand) string {
	parts := []string{"a", "b", "*", "*", "?", "[ab]", "[^a]", `\*`, "[b-", "[", "]", `\`, "^", "-", "[]", "[^]"}
	text := parts[r.IntN(len(parts))]
	for range r.IntN(5) {
		text += parts[r.IntN(len(parts))]
	}
	return text
}

func oddName(r *rand.Rand) string {
	letters := `aaabbb*[]\^-`
	name := make([]byte, r.IntN(7))
	for i := range name {
		name[i] = letters[r.IntN(len(letters))]
	}
	return string(name)
}

// A rule that is said never to count must never have counted.
func TestWhatIsCoveredIsMatched(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(14, 19))
	covered, matched := 0, 0
	for range 20_000 {
		pattern, other := Pattern{text: oddPattern(r)}, Pattern{text: oddPattern(r), literal: r.IntN(8) == 0}
		if !pattern.Covers(other) {
			continue
		}
		covered++
		names := []string{other.text}
		for range 200 {
			names = append(names, oddName(r))
		}
		for _, name := range names {
			if !other.Match(name) {
				continue
			}
			matched++
			if !pattern.Match(name) {
				t.Fatalf("%s is said to cover %s, but does not match %q", pattern, other, name)
			}
		}
	}
	if covered < 1000 || matched < 10_000 {
		t.Errorf("%d of the pairs are covered, %d names are matched: too few to tell", covered, matched)
	}
}

func FuzzCovers(f *testing.F) {
	f.Add("car-*", "car-[0-9]", "car-1")
	f.Add("*?", "?*", "x")
	f.Add("[^", `\`, `\`)
	f.Fuzz(func(t *testing.T, pattern, other, name string) {
		p, o := Pattern{text: pattern}, Pattern{text: other}
		if p.Covers(o) && o.Match(name) && !p.Match(name) {
			t.Errorf("%q is said to cover %q, but does not match %q", pattern, other, name)
		}
	})
}
