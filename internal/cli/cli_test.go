package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/streamkeeper/streamkeeper/internal/settings"
	"github.com/streamkeeper/streamkeeper/web"
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

func TestWhatRemovesNothingDoesNotMindThatTheClocksDisagree(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	m.SetTime(time.Now().Add(-3 * time.Hour))
	m.SAdd("streams", "car")
	options := hurried("redis://" + m.Addr())
	options.HistoryLength = 100
	for _, command := range [][]string{{"history", "--since", "1h"}, {"undo", "--since", "1h"}, {"inspect"}, {"pause", "--for", "1h"}} {
		var out, errs bytes.Buffer
		p := Program{Stdout: &out, Stderr: &errs, Load: func(...settings.Override) (Options, error) { return options, nil }}
		if code := p.Run(t.Context(), command); code != ExitOK {
			t.Errorf("%q: exit %d, %s%s", command, code, &out, &errs)
		}
	}
}

func TestAWrongFlagNamesWhatIsMeantAndTheHelpOfItsCommand(t *testing.T) {
	for command, want := range map[string]string{
		"once --dryrun":         "unknown flag: --dryrun; did you mean --dry-run?\nTry: streamkeeper once --help\n",
		"once trim --verbose":   "unknown flag: --verbose\nTry: streamkeeper once --help\n",
		"inspect -z":            "unknown shorthand flag: 'z' in -z\nTry: streamkeeper inspect --help\n",
		"pause list --job trim": "Try: streamkeeper pause list --help\n",
		"once trimm":            "Try: streamkeeper once --help\n",
		"plan --job inspect":    "Try: streamkeeper plan --help\n",
		"onse":                  "Try: streamkeeper --help\n",
		"--version=x":           "Try: streamkeeper --help\n",
	} {
		var out, errs bytes.Buffer
		p := Program{Stdout: &out, Stderr: &errs, Load: func(...settings.Override) (Options, error) { return Options{}, nil }}
		if code := p.Run(t.Context(), strings.Fields(command)); code != ExitUsage || !strings.HasSuffix(errs.String(), want) || out.Len() > 0 {
			t.Errorf("%s: exit %d, %s%s", command, code, &out, &errs)
		}
	}
}

func TestAPortThatIsTakenNamesItsSetting(t *testing.T) {
	t.Parallel()
	taken, err := web.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	options := hurried("redis://127.0.0.1:1")
	options.Listen = taken.Addr().String()
	var out, errs bytes.Buffer
	p := Program{Stdout: &out, Stderr: &errs, Load: func(...settings.Override) (Options, error) { return options, nil }}
	code := p.Run(t.Context(), []string{"run"})
	if said := errs.String(); code != ExitFailure || !strings.Contains(said, `STREAMKEEPER_LISTEN="`+options.Listen+`": listening for HTTP: `) {
		t.Errorf("exit %d, %s%s", code, &out, &errs)
	}
}
