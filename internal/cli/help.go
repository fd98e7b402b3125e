package cli

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// settingsHint ends the help of each command.
const settingsHint = `
Settings are environment variables: STREAMKEEPER_REDIS_URL says where Redis is. docs/settings.md
describes them all, and "streamkeeper config" prints those in effect.
`

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
