package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/inspect"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/report"
)

func (a *app) inspectCommand() *cobra.Command {
	var files []string
	var content bool
	var follow followOptions
	c := &cobra.Command{
		Use:   "inspect [STREAM…]",
		Short: "Sample messages and say whether they are valid",
		Long: "Samples messages of every stream, or of those named, and says whether a client could read them.\n" +
			"With --file it judges payloads that lie in files instead, without Redis.\n" +
			"With --follow it goes on with each message that comes, until Ctrl-C.\n" +
			"Exits with 4 if a message is invalid.",
		RunE: func(c *cobra.Command, streams []string) error {
			if len(files) > 0 && len(streams) > 0 {
				return usageError{errors.New("--file judges files and takes no stream")}
			}
			format, err := a.inspectFormat(content)
			if err != nil {
				return err
			}
			if streams, err = unescaped(streams); err != nil {
				return usageError{err}
			}
			following, err := follow.following(streams, files)
			if err != nil {
				return usageError{err}
			}
			if follow.follow {
				return a.follow(c.Context(), following, format, content)
			}
			return a.inspect(c.Context(), format, streams, files, content)
		},
	}
	a.outputFlag(c)
	a.redisFlag(c)
	c.Flags().StringArrayVar(&files, "file", nil, "judge the payload in this file, - for standard input; repeatable")
	c.Flags().BoolVar(&content, "decode", false, "print the content of the messages as JSON too")
	follow.flags(c)
	return c
}

// inspectFormat reads -o; content is too much for a table.
func (a *app) inspectFormat(content bool) (report.Format, error) {
	format, err := a.format()
	if err == nil && content {
		format = report.JSON
	}
	return format, err
}

// unescaped are names as they were typed.
func unescaped(texts []string) ([]string, error) {
	names := make([]string, len(texts))
	for i, text := range texts {
		var err error
		if names[i], err = buffer.Unescape(text); err != nil {
			return nil, err
		}
	}
	return names, nil
}

func (a *app) inspect(ctx context.Context, format report.Format, streams, files []string, content bool) error {
	config, log, err := a.load()
	if err != nil {
		return err
	}
	options := config.Jobs.Inspect.Options
	options.Log = log.With("job", jobs.Inspect)
	options.Decode = content
	result := report.NewInspection(len(files) > 0)
	var found inspect.Report
	if len(files) > 0 {
		found, err = inspect.CheckFiles(ctx, options, files, a.Stdin, result.Add)
	} else {
		options.CrossCheck = true
		found, err = a.inspectStreams(ctx, config, options, log, streams, result.Add)
	}
	if err != nil && found.Messages == 0 {
		return err
	}
	result.Finish(found)
	if err := report.WriteInspection(a.Stdout, format, result); err != nil {
		return err
	}
	switch {
	case err != nil:
		return err
	case found.Errors > 0:
		return fmt.Errorf("%d streams could not be read", found.Errors)
	case found.Invalid > 0:
		return errInvalid
	}
	return nil
}

// inspectStreams samples the streams named, or all.
func (a *app) inspectStreams(ctx context.Context, config Options, o inspect.Options, log *slog.Logger, streams []string,
	visit func(inspect.Message),
) (inspect.Report, error) {
	b, err := a.open(ctx, config, log, true, nil)
	if err != nil {
		return inspect.Report{}, err
	}
	defer func() { _ = b.Close() }()
	progress := report.NewProgress(a.Stderr, isTerminal(a.Stderr))
	defer progress.Done()
	o.OnProgress = func(p inspect.Progress) { progress.Show(jobs.InspectProgress(p)) }
	inspector := inspect.New(b, o)
	if len(streams) == 0 {
		return inspector.Run(ctx, visit)
	}
	return inspector.Inspect(ctx, streams, visit)
}
