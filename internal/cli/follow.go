package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/streamkeeper/streamkeeper/inspect"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/report"
)

// followOptions are the flags of inspect --follow.
type followOptions struct {
	follow         bool
	since, session string
}

func (o *followOptions) flags(c *cobra.Command) {
	c.Flags().BoolVarP(&o.follow, "follow", "f", false, "print the messages of the streams named as they come, until Ctrl-C; -o json prints one a line")
	c.Flags().StringVar(&o.since, "since", "", "follow from there, not from the end: a duration such as 10m, the id of a message (0 is the beginning), or a time as RFC 3339")
	c.Flags().StringVar(&o.session, "session", "", "follow only the messages with this id")
}

// following checks the flags against what else was given.
func (o *followOptions) following(streams, files []string) (f inspect.Following, err error) {
	f.Streams = streams
	switch {
	case !o.follow && (o.since != "" || o.session != ""):
		return f, errors.New("--since and --session go with --follow")
	case !o.follow:
		return f, nil
	case len(files) > 0:
		return f, errors.New("--follow follows streams, and a --file does not grow")
	case len(streams) == 0:
		return f, errors.New("--follow wants the name of a stream, or of several")
	}
	if o.since != "" {
		if f.Since, err = inspect.ParseSince(o.since); err != nil {
			return f, fmt.Errorf("--since %w", err)
		}
	}
	if o.session != "" {
		if f.Session, err = inspect.ParseSession(o.session); err != nil {
			return f, fmt.Errorf("--session %w", err)
		}
	}
	return f, nil
}

// follow prints messages as they come until ctx ends.
func (a *app) follow(ctx context.Context, f inspect.Following, format report.Format, flags inspectFlags) error {
	config, log, err := a.load()
	if err != nil {
		return err
	}
	options := config.Jobs.Inspect.Options
	options.Log = log.With("job", jobs.Inspect)
	options.Decode, options.Keep = flags.content, flags.save != ""
	save, err := newSaving(flags.save)
	if err != nil {
		return err
	}
	defer save.close()
	b, err := a.openOnce(ctx, config, log, true, nil)
	if err != nil {
		return unlessInterrupted(ctx, err)
	}
	defer func() { _ = b.Close() }()
	out := report.NewFollow(a.screen(), format, len(f.Streams))
	found, err := inspect.New(b, options).Follow(ctx, f, func(messages []inspect.Message) error {
		for i := range messages {
			messages[i] = save.message(messages[i])
		}
		return errors.Join(out.Add(messages), save.err)
	})
	if found.Streams > 0 { // it had begun
		err = errors.Join(err, out.Finish(found))
	}
	if err == nil && found.Invalid > 0 {
		return errInvalid
	}
	return err
}
