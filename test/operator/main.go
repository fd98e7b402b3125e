// Command operator fills an empty Redis with the buffer of an operator who has ten
// questions, and prints the questions. Whoever reads only streamkeeper's --help
// and docs is to answer them; the answers are printed with -answers.
//
// It is a tool for developers: see CONTRIBUTING.md.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"text/template"

	"github.com/redis/go-redis/v9"
)

//go:embed questions.md
var questions string

//go:embed answers.md
var answers string

func main() {
	url := flag.String("redis-url", "redis://localhost:6379/0", "an empty Redis of your own, which is filled")
	to := flag.String("answers", "", "a file that the answers are written to")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, *url, *to)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "operator:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, url, answersFile string) error {
	o, err := redis.ParseURL(url)
	if err != nil {
		return fmt.Errorf("-redis-url: %w", err)
	}
	client := redis.NewClient(o)
	defer func() { _ = client.Close() }()
	b, err := fill(ctx, client, url)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "# The settings of this installation:")
	for _, name := range slices.Sorted(maps.Keys(b.Settings)) {
		fmt.Fprintf(out, "export %s='%s'\n", name, b.Settings[name])
	}
	fmt.Fprintln(out)
	if err := write(out, questions, b); err != nil || answersFile == "" {
		return err
	}
	f, err := os.Create(answersFile)
	if err != nil {
		return fmt.Errorf("-answers: %w", err)
	}
	return errors.Join(write(f, answers, b), f.Close())
}

// write fills in what differs from one buffer to the next.
func write(to io.Writer, text string, b filled) error {
	t, err := template.New("").Option("missingkey=error").Parse(text)
	if err != nil {
		return err
	}
	return t.Execute(to, b)
}
