package escape

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEscapeShowsAnyBytesAndUnescapeReversesIt(t *testing.T) {
	for name, want := range map[string]string{
		"":                     "",
		"car 7: lap*":          "car 7: lap*",
		"Ünïcode ✓":            "Ünïcode ✓",
		"tab\there":            `tab\x09here`,
		"\x1b[31mred":          `\x1b[31mred`,
		"back\\slash":          `back\\slash`,
		"\xff\xfe":             `\xff\xfe`,
		"half \xc3":            `half \xc3`,
		"car\u202e7":           `car\xe2\x80\xae7`,
		"\u2028line\u2029":     `\xe2\x80\xa8line\xe2\x80\xa9`,
		"\u2066a\u200bb\ufeff": `\xe2\x81\xa6a\xe2\x80\x8bb\xef\xbb\xbf`,
		"c1 \u0085 and \x7f":   `c1 \xc2\x85 and \x7f`,
	} {
		got := Name(name)
		if got != want {
			t.Errorf("Name(%q) = %s, want %s", name, got, want)
		}
		if back, err := Parse(got); err != nil || back != name {
			t.Errorf("Parse(%s) = %q, %v, want %q", got, back, err, name)
		}
	}
}

func TestUnescapeRefusesOtherBackslashes(t *testing.T) {
	for _, text := range []string{`\`, `\n`, `\x`, `\x1`, `\xzz`, `\x+1`, `a\ b`} {
		if got, err := Parse(text); err == nil {
			t.Errorf("Parse(%s) = %q, want an error", text, got)
		}
	}
}

func TestInAPatternBytesAreReadAndOtherBackslashesStay(t *testing.T) {
	for text, want := range map[string]string{
		`bad\xff\xfe`: "bad\xff\xfe", `bad\xff*`: "bad\xff*", `a\*b`: `a\*b`, `a\\b`: `a\\b`, `a\\xff`: `a\\xff`,
		`"a\xff"`: `"a\xff"`, `\xzz`: `\xzz`, `\x1`: `\x1`, `\`: `\`, "": "",
	} {
		if got := Bytes(text); got != want {
			t.Errorf("Bytes(%s) = %q, want %q", text, got, want)
		}
	}
}

func FuzzName(f *testing.F) {
	f.Add("plain")
	f.Add("\xff\\x41\x00")
	f.Fuzz(func(t *testing.T, name string) {
		shown := Name(name)
		if !utf8.ValidString(shown) || strings.ContainsFunc(shown, func(r rune) bool { return r < 0x20 }) {
			t.Errorf("Name(%q) = %q cannot be shown", name, shown)
		}
		if back, err := Parse(shown); err != nil || back != name {
			t.Errorf("Parse(Name(%q)) = %q, %v", name, back, err)
		}
	})
}

func TestATextWithEscapedNamesStaysAsItIsButForWhatCannotBeShown(t *testing.T) {
	for text, want := range map[string]string{
		`stream "a\\b\xff"`:   `stream "a\\b\xff"`,
		"raw \xff, \\ and \n": `raw \xff, \ and \x0a`,
		"\\\x01\\\\":          `\\x01\\`,
	} {
		if got := Text(text); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
