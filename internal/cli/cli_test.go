package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/streamkeeper/streamkeeper/internal/settings"
)

func TestAPanicOfACommandIsAFailureThatSaysWhere(t *testing.T) {
	var errs bytes.Buffer
	p := Program{Stdout: &errs, Stderr: &errs, Load: func(...settings.Override) (Options, error) { panic("out of range") }}
	if code := p.Run(t.Context(), []string{"acl"}); code != ExitFailure {
		t.Errorf("exit %d", code)
	}
	if said := errs.String(); !strings.Contains(said, "panic: out of range") || !strings.Contains(said, "cli_test.go") {
		t.Errorf("it says %q", said)
	}
}
