package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
	"github.com/streamkeeper/streamkeeper/internal/settings"
)

func TestMain(m *testing.M) { program.Main(m) }

// TestTheAnswersAreThere asks as the answers say.
func TestTheAnswersAreThere(t *testing.T) {
	server := redistest.Start(t)
	b, err := fill(t.Context(), server.Client, server.URL())
	if err != nil {
		t.Fatal(err)
	}
	env := make(program.Env)
	for name, value := range b.Settings {
		env[strings.TrimPrefix(name, settings.Prefix+"_")] = value
	}
	for _, c := range []struct {
		question int
		ask      []string
		says     []string
	}{
		{1, []string{"explain", "car 7"}, []string{"holds 12 000 entries", "next trim nothing", `consumer group "storage" still needs`}},
		{2, []string{"explain", "dyno 3"}, []string{"holds 5 000 entries", "next trim nothing", "the rule for dyno *", "1h"}},
		{3, []string{"explain", "rocket 1"}, []string{"next trim nothing", "protected", "pause"}},
		{3, []string{"pause", "list"}, []string{b.PauseID, "rocket *", "launch day, ask Maria"}},
		{4, []string{"explain", "car 12 · shakedown"}, []string{"retired by streamkeeper 20h", "no session, last entry 25h ago (limit 24h), by streamkeeper-5d9c-q8w4z/1"}},
		{5, []string{"explain", "car 9", "--at", b.Taken}, []string{"removed by others, not by streamkeeper: the oldest entry has moved since streamkeeper trimmed last"}},
		{6, []string{"explain", "car 9", "--at", b.Trimmed}, []string{"removed yes: trimmed between", "by length, by streamkeeper-5d9c-x7k2p/1"}},
		{7, []string{"explain", "morning run"}, []string{"gone", "not updated for 26h", "undo can put it back until"}},
		{8, []string{"plan"}, []string{"guard", "60 of 9", "once --force cleanup"}},
		{9, []string{"explain", "web:1f3a"}, []string{"foreign, no RTA field marks it"}},
		{10, []string{"explain", "trike test"}, []string{"malformed", "seconds"}},
	} {
		code, out, errs := env.Run(t, c.ask...)
		got := strings.Join(strings.Fields(out), " ")
		for _, text := range c.says {
			if !strings.Contains(got, text) {
				t.Errorf("question %d, %v: it does not say %q (exit %d)\n%s%s", c.question, c.ask, text, code, out, errs)
			}
		}
	}
	if _, err := fill(t.Context(), server.Client, server.URL()); err == nil {
		t.Error("a buffer that is in use is filled again")
	}
}

func TestTheQuestionsAndTheAnswersAreTen(t *testing.T) {
	server := redistest.Start(t)
	to := filepath.Join(t.TempDir(), "answers.md")
	var out bytes.Buffer
	if err := run(t.Context(), &out, server.URL(), to); err != nil {
		t.Fatal(err)
	}
	answered, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"questions": out.String(), "answers": string(answered)} {
		if n := strings.Count("\n"+text, "\n10. "); n != 1 || strings.Contains(text, "\n11. ") || strings.Contains(text, "{{") {
			t.Errorf("the %s are\n%s", name, text)
		}
	}
	if !strings.Contains(out.String(), "export STREAMKEEPER_TRIM_RESPECT_GROUPS='true'\n") {
		t.Errorf("%s", out.String())
	}
}
