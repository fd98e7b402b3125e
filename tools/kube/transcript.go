package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// transcript tells what is done, what came of it and how long it took.
type transcript struct {
	out   io.Writer
	begun time.Time
	steps int
}

func newTranscript(out io.Writer) *transcript { return &transcript{out: out, begun: time.Now()} }

// step does one thing that can succeed or fail.
func (t *transcript) step(title string, do func() error) error {
	begun := time.Now()
	fmt.Fprintf(t.out, "\n==> %s\n", title)
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", title, err)
	}
	t.steps++
	fmt.Fprintf(t.out, "==> %s: %.1fs\n", title, time.Since(begun).Seconds())
	return nil
}

// say writes one line.
func (t *transcript) say(format string, args ...any) {
	fmt.Fprintf(t.out, "    "+format+"\n", args...)
}

// quote writes what a program printed.
func (t *transcript) quote(text string) {
	for line := range strings.Lines(strings.TrimRight(text, "\n")) {
		fmt.Fprintf(t.out, "    | %s\n", strings.TrimRight(line, "\n"))
	}
}

func (t *transcript) sum() {
	fmt.Fprintf(t.out, "\n%d steps, all well, in %.0fs\n", t.steps, time.Since(t.begun).Seconds())
}

// shell runs programs for the transcript.
type shell struct {
	*transcript
	bin string
	env []string
}

// run shows the command and what it prints.
func (s *shell) run(ctx context.Context, name string, args ...string) error {
	return s.pipe(ctx, nil, name, args...)
}

// pipe is run with an input.
func (s *shell) pipe(ctx context.Context, input []byte, name string, args ...string) error {
	fmt.Fprintf(s.out, "    $ %s %s\n", name, typed(args))
	text, err := s.output(ctx, input, name, args...)
	s.quote(string(text))
	return err
}

// typed is arguments as one would type them.
func typed(args []string) string {
	quoted := make([]string, len(args))
	for i, arg := range args {
		if quoted[i] = arg; strings.ContainsAny(arg, " *") {
			quoted[i] = "'" + arg + "'"
		}
	}
	return strings.Join(quoted, " ")
}

// output runs a command unseen, and returns what it prints to stdout and
// stderr. The error holds nothing of that.
func (s *shell) output(ctx context.Context, input []byte, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, name), args...)
	cmd.Env = append(os.Environ(), s.env...)
	cmd.Stdin = bytes.NewReader(input)
	text, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w", name, args[0], err)
	}
	return text, err
}
