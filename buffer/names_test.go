package buffer

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestEscapeShowsAnyBytesAndUnescapeReversesIt(t *testing.T) {
	for name, want := range map[string]string{
		"":                   "",
		"car 7: lap*":        "car 7: lap*",
		"Ünïcode ✓":          "Ünïcode ✓",
		"tab\there":          `tab\x09here`,
		"\x1b[31mred":        `\x1b[31mred`,
		"back\\slash":        `back\\slash`,
		"\xff\xfe":           `\xff\xfe`,
		"half \xc3":          `half \xc3`,
		"c1 \u0085 and \x7f": `c1 \xc2\x85 and \x7f`,
	} {
		got := Escape(name)
		if got != want {
			t.Errorf("Escape(%q) = %s, want %s", name, got, want)
		}
		if back, err := Unescape(got); err != nil || back != name {
			t.Errorf("Unescape(%s) = %q, %v, want %q", got, back, err, name)
		}
	}
}

func TestUnescapeRefusesOtherBackslashes(t *testing.T) {
	for _, text := range []string{`\`, `\n`, `\x`, `\x1`, `\xzz`, `\x+1`, `a\ b`} {
		if got, err := Unescape(text); err == nil {
			t.Errorf("Unescape(%s) = %q, want an error", text, got)
		}
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("plain")
	f.Add("\xff\\x41\x00")
	f.Fuzz(func(t *testing.T, name string) {
		shown := Escape(name)
		if !utf8.ValidString(shown) || strings.ContainsFunc(shown, func(r rune) bool { return r < 0x20 }) {
			t.Errorf("Escape(%q) = %q cannot be shown", name, shown)
		}
		if back, err := Unescape(shown); err != nil || back != name {
			t.Errorf("Unescape(Escape(%q)) = %q, %v", name, back, err)
		}
	})
}

func TestIDsAreComparedAsNumbers(t *testing.T) {
	ordered := []string{"0-0", "0-1", "9-0", "9-9", "9-10", "10-0", "100-0", "1700000000000-0", "18446744073709551615-18446744073709551615"}
	for i := range ordered {
		for j := range ordered {
			a, errA := ParseID(ordered[i])
			b, errB := ParseID(ordered[j])
			if errA != nil || errB != nil {
				t.Fatal(errA, errB)
			}
			if got := a.Less(b); got != (i < j) {
				t.Errorf("%s < %s is %v", a, b, got)
			}
			if a.String() != ordered[i] {
				t.Errorf("%s is written %s", ordered[i], a)
			}
		}
	}
}

func TestParseIDRefusesWhatIsNoID(t *testing.T) {
	for _, text := range []string{"", "-", "1-", "-1", "a-1", "1-b", "1-2-3", "18446744073709551616-0", " 1-0"} {
		if id, err := ParseID(text); err == nil {
			t.Errorf("ParseID(%q) = %s, want an error", text, id)
		}
	}
}

func TestAnIDIsATimeFrom2001ToADayAhead(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	for ms, want := range map[uint64]bool{
		0:                            false,
		1:                            false,
		MinTimeMs - 1:                false,
		MinTimeMs:                    true,
		1_800_000_000_000:            true,
		1_800_000_000_000 + 86400000: true,
		1_800_000_000_001 + 86400000: false,
		1_800_000_000_000_000_000:    false,
	} {
		if got := (ID{Ms: ms}).IsTime(now); got != want {
			t.Errorf("ID %d is a time: %v, want %v", ms, got, want)
		}
	}
}
