package report

import (
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/streamkeeper/streamkeeper/internal/escape"
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

func TestWideCharactersAndAccentsMoveNoColumn(t *testing.T) {
	var b strings.Builder
	names := []string{"plain", "日本語ストリーム", strings.Repeat("e\u0301", 9), cut(strings.Repeat("日本語", 10), 28), named(""), named(" "), named("  a b ")}
	rows := [][]string{{"STREAM", "WHY"}}
	for _, name := range names {
		rows = append(rows, []string{name, "why"})
	}
	if err := writeTable(&b, rows); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		before, _, found := strings.Cut(line, "why")
		if n := escape.Width(before); found && n != 29 {
			t.Errorf("the column begins at %d: %q", n, line)
		}
	}
	for _, want := range []string{`""  `, `\x20  `, `\x20\x20a b\x20  `} {
		if !strings.Contains(b.String(), "\n"+want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if got := wrap("日本語日本語 é", 4); !slices.Equal(got, []string{"日本", "語日", "本語", "é"}) {
		t.Errorf("wrapped: %q", got)
	}
}

func TestOnAScreenSentencesAreWrapped(t *testing.T) {
	plan := NewPlan(Redis{Address: "redis://redis.example:6379/0", Version: "7.0.15", Mode: "standalone"}, false)
	plan.Policies = []string{"all streams: " + strings.Repeat("some words ", 20)}
	plan.Failed = []string{strings.Repeat("日本語 ", 30)}
	var screen, elsewhere strings.Builder
	for _, w := range []io.Writer{Screen{Writer: &screen, Width: 80}, &elsewhere} {
		if err := WritePlan(w, Table, plan); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(screen.String()) {
		if n := escape.Width(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if strings.Join(strings.Fields(screen.String()), " ") != strings.Join(strings.Fields(elsewhere.String()), " ") || strings.Count(elsewhere.String(), "\n") != 4 {
		t.Errorf("%s\n%s", screen.String(), elsewhere.String())
	}
}
