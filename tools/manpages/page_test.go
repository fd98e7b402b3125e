package main

import (
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/settings"
)

func testPages(t *testing.T) map[string]string {
	t.Helper()
	return pages(cli.Program{}.Command(), []settings.Shown{{Setting: "LISTEN", Value: ":8080", Help: "HTTP address"}}, time.Unix(1767312000, 0).UTC())
}

func TestEveryVisibleCommandHasAPage(t *testing.T) {
	t.Parallel()
	all := testPages(t)
	for _, name := range []string{"streamkeeper.1", "streamkeeper-run.1", "streamkeeper-once.1", "streamkeeper-pause-list.1", "streamkeeper-completion-bash.1", "streamkeeper.env.5"} {
		if all[name] == "" {
			t.Errorf("there is no %s", name)
		}
	}
	once := all["streamkeeper-once.1"]
	for _, want := range []string{
		".TH \"STREAMKEEPER\\-ONCE\" 1 \"2026\\-01\\-02\"", ".SH \"EXIT STATUS\"", "\\fB\\-\\-stream stringArray\\fR", "streamkeeper once trim \\-\\-stream \\(aqrocket\\-*\\(aq",
	} {
		if !strings.Contains(once, want) {
			t.Errorf("streamkeeper-once.1 has no %q:\n%s", want, once)
		}
	}
	if env := all["streamkeeper.env.5"]; !strings.Contains(env, "\\fBSTREAMKEEPER_LISTEN\\fR\nHTTP address\nDefault: :8080\n") {
		t.Errorf("streamkeeper.env.5 does not describe LISTEN:\n%s", env)
	}
}

// Nothing in a text may be taken for a request or an escape of roff.
func TestTextIsNeverARequest(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		".TH x":     `\&.TH x`,
		"'br":       `\(aqbr`,
		`a\fBb`:     `a\efBb`,
		"--dry-run": `\-\-dry\-run`,
		"JOB…":      "JOB...",
	} {
		if got := plain(text); got != want {
			t.Errorf("%q is written %q, want %q", text, got, want)
		}
	}
}
