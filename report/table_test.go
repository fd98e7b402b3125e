package report

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestOnAScreenTheLastColumnIsWrapped(t *testing.T) {
	long := strings.Repeat("some words ", 20) + strings.Repeat("x", 200)
	for _, first := range []string{"short", strings.Repeat("n", 70)} {
		var b strings.Builder
		if err := writeTable(Screen{Writer: &b, Width: 80}, [][]string{{"NAME", "WHY"}, {first, long}, {"other", "short"}}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
				t.Errorf("%d characters: %s", n, line)
			}
		}
		if got := strings.Join(strings.Fields(b.String()), ""); !strings.Contains(got, strings.Join(strings.Fields(long), "")) {
			t.Errorf("something is missing:\n%s", b.String())
		}
	}
	var b strings.Builder
	if err := writeTable(&b, [][]string{{"NAME", "WHY"}, {"a", long}}); err != nil {
		t.Fatal(err)
	}
	if want := "NAME  WHY\na     " + long + "\n"; b.String() != want {
		t.Errorf("elsewhere it is as wide as need be:\n%s", b.String())
	}
}

func TestColourMarksHowItWentAndMovesNoColumn(t *testing.T) {
	rows := [][]string{{"JOB", "RESULT", "WHAT"}, {"trim", "failed", "why"}, {"cleanup", "ok", "nothing"}}
	var plain, coloured strings.Builder
	if err := writeTable(Screen{Writer: &plain}, rows); err != nil {
		t.Fatal(err)
	}
	if err := writeTable(Screen{Writer: &coloured, Colour: true}, rows); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(coloured.String(), "\x1b[31mfailed\x1b[0m") || !strings.Contains(coloured.String(), "\x1b[32mok\x1b[0m") {
		t.Errorf("%q", coloured.String())
	}
	stripped := strings.NewReplacer("\x1b[31m", "", "\x1b[32m", "", "\x1b[0m", "").Replace(coloured.String())
	if stripped != plain.String() {
		t.Errorf("%q\n%q", stripped, plain.String())
	}
}
