package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// settingsHint ends the help of each command.
const settingsHint = `
Settings are environment variables: STREAMKEEPER_REDIS_URL says where Redis is. docs/settings.md
describes them all, and "streamkeeper config" prints those in effect.
`

// helpWidth is how many columns the flags take in a help text.
const helpWidth = 80

// addHelpers adds help and completion, which have examples as others do, and refuse
// what they do not know.
func addHelpers(root *cobra.Command) {
	root.SetHelpCommand(helpCommand(root))
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	completion, _, err := root.Find([]string{"completion"})
	if err != nil { // it has been added
		panic(err)
	}
	var shells []string
	for _, shell := range completion.Commands() {
		shells = append(shells, shell.Name())
		shell.Example = "  streamkeeper completion " + shell.Name()
	}
	completion.Use = "completion SHELL"
	completion.Example = "  streamkeeper completion bash > /etc/bash_completion.d/streamkeeper\n  source <(streamkeeper completion bash)"
	completion.RunE = func(*cobra.Command, []string) error {
		return usageError{fmt.Errorf("which shell? allowed: %s", strings.Join(shells, ", "))}
	}
}

func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Help about any command",
		Example: "  streamkeeper help\n  streamkeeper help once",
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
			if len(args) == 0 {
				for _, c := range root.Commands() {
					names = append(names, c.Name())
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			c, _, err := root.Find(args)
			if err != nil {
				return usageError{err}
			}
			c.InitDefaultHelpFlag()
			c.InitDefaultVersionFlag()
			return c.Help()
		},
	}
}

// flagError names the flag that may be meant by one that the command does not have.
func flagError(c *cobra.Command, err error) error {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return err
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near := human.Nearest(unknown.GetSpecifiedName(), names); near != "" && unknown.GetSpecifiedShortnames() == "" {
		return fmt.Errorf("%w; did you mean --%s?", err, near)
	}
	return err
}

// offer has a shell complete the value of a flag.
func offer(c *cobra.Command, flag string, values []string) {
	// It only fails for a flag that is none, or is offered twice.
	if err := c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err)
	}
}

// Bounds of what completion asks of Redis: somebody waits at the prompt.
const (
	completionTime = 2 * time.Second
	completionMost = 200
)

var errEnough = errors.New("enough")

// completeStreams offers the names of streams.
func (a *app) completeStreams(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(c.Context(), completionTime)
	defer cancel()
	// Without Redis there is nothing to offer, and nobody to tell why.
	const none = cobra.ShellCompDirectiveNoFileComp
	config, _, err := a.load()
	if err != nil {
		return nil, none
	}
	b, err := a.open(ctx, config, slog.New(slog.DiscardHandler), true, nil)
	if err != nil {
		return nil, none
	}
	defer func() { _ = b.Close() }()
	var names []string
	_ = b.WalkStreams(ctx, func(page []string) error {
		for _, name := range page {
			if name = buffer.Escape(name); strings.HasPrefix(name, begun) && !slices.Contains(args, name) {
				names = append(names, name)
			}
		}
		if len(names) >= completionMost {
			return errEnough
		}
		return nil
	})
	slices.Sort(names)
	return names, none
}

// days is a flag's duration, which may have days as those of settings.
type days struct{ time.Duration }

// Set implements the flags' Value.
func (d *days) Set(text string) (err error) {
	d.Duration, err = human.ParseDuration(text)
	if err != nil {
		return errors.New("want a duration such as 20s, 1h30m or 1d")
	}
	return nil
}

// Type implements the flags' Value.
func (*days) Type() string { return "duration" }

// String implements the flags' Value.
func (d *days) String() string {
	if d.Duration == 0 {
		return "0s"
	}
	return human.Duration(d.Duration)
}
