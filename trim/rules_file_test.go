package trim

import (
	"strings"
	"testing"
)

func TestAFileHasARuleALine(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "",
		"a: keep=all":                "a: keep=all",
		"a: keep=all\nb: keep=all\n": "a: keep=all;b: keep=all",
		"# nothing\n\n  # at all\n":  ";;",
		"a: keep=all # why\r\n":      "a: keep=all",
		"a: keep=all\t#why":          "a: keep=all",
		`"a # b": keep=all # c`:      `"a # b": keep=all`,
		"lap#*: keep=all # a#b #c":   "lap#*: keep=all",
		`"a\" # b": keep=all`:        `"a\" # b": keep=all`,
	} {
		if got := RulesOfFile(text); got != want {
			t.Errorf("%q is read as %q, want %q", text, got, want)
		}
	}
}

func FuzzRulesOfFile(f *testing.F) {
	for _, seed := range []string{"a: keep=all # b\n", `"a # b": max_length=10`, "#", "a#\n\\", "\"\n#"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rules := RulesOfFile(text)
		if len(rules) > len(text)+1 {
			t.Errorf("%q became longer: %q", text, rules)
		}
		if again := RulesOfFile(rules); !strings.Contains(text, "\"") && again != strings.TrimSpace(rules) {
			t.Errorf("%q is read as %q, and that as %q", text, rules, again)
		}
		_, _ = ParseRules(rules, Policy{})
	})
}
