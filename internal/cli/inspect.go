package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"

	"github.com/spf13/cobra"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/inspect"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/report"
)

// inspectFlags are the flags of inspect.
type inspectFlags struct {
	files   []string
	content bool
	id      string
	count   int64
	save    string
	follow  followOptions

	// messageID is what id says.
	messageID buffer.ID
}

func (a *app) inspectCommand() *cobra.Command {
	var f inspectFlags
	c := &cobra.Command{
		Use:   "inspect [STREAM…]",
		Short: "Sample messages and say whether they are valid",
		Long: "Samples messages of every stream, or of those named, and says whether a client could read them.\n" +
			"With --id it judges one message. With --save it writes the payloads to files that --file takes.\n" +
			"With --file it judges payloads that lie in files instead, without Redis; further arguments are files then.\n" +
			"With --follow it goes on with each message that comes, until Ctrl-C.\n" +
			"Exits with 4 if a message is invalid.",
		Example: "  streamkeeper inspect\n  streamkeeper inspect 'car 7' --count 20\n  streamkeeper inspect 'car 7' --follow --since 10m\n  streamkeeper inspect --file payloads/*.bin",
		ValidArgsFunction: func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
			if len(f.files) > 0 {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return a.completeStreams(c, args, begun)
		},
		RunE: func(c *cobra.Command, streams []string) error {
			format, err := a.inspectFormat(f.content)
			if err != nil {
				return err
			}
			if len(f.files) > 0 {
				// A shell makes several of --file *.bin.
				f.files, streams = append(f.files, streams...), nil
			}
			if streams, err = unescaped(streams); err != nil {
				return usageError{err}
			}
			if err := f.check(streams, c.Flags().Changed("count")); err != nil {
				return usageError{err}
			}
			following, err := f.follow.following(streams, f.files)
			if err != nil {
				return usageError{err}
			}
			if following.Count = f.count; f.follow.follow {
				return a.follow(c.Context(), following, format, f)
			}
			return a.inspect(c.Context(), format, streams, f)
		},
	}
	a.outputFlag(c)
	a.redisFlag(c)
	c.Flags().StringArrayVar(&f.files, "file", nil, "judge the payload in this file, - for standard input; repeatable, and with it each argument is a file")
	c.Flags().BoolVar(&f.content, "decode", false, "print the content of the messages as JSON too; of an invalid one, what comes before its first fault")
	c.Flags().StringVar(&f.id, "id", "", "judge the message with this id")
	c.Flags().Int64Var(&f.count, "count", 0, "judge so many messages of each stream, not INSPECT_SAMPLES; with --follow, end after so many in all")
	c.Flags().StringVar(&f.save, "save", "", "write the payload of each message that is judged to a file in this directory, named by stream and id")
	f.follow.flags(c)
	return c
}

// check checks the flags against each other.
func (f *inspectFlags) check(streams []string, counted bool) error {
	switch {
	case len(f.files) > 0 && (f.id != "" || counted || f.save != ""):
		return errors.New("--id, --count and --save are for messages of streams, not for a --file")
	case counted && f.count < 1:
		return errors.New("--count wants at least 1")
	case f.id != "" && (counted || f.follow.follow):
		return errors.New("--id judges one message, without --count and --follow")
	case f.id != "" && len(streams) == 0:
		return errors.New("--id wants the name of the stream")
	}
	if f.id == "" {
		return nil
	}
	id, err := buffer.ParseID(f.id)
	if err != nil {
		return fmt.Errorf("--id %q: want the id of a message, such as 1700000000000-0", f.id)
	}
	f.messageID = id
	return nil
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

func (a *app) inspect(ctx context.Context, format report.Format, streams []string, f inspectFlags) error {
	config, log, err := a.load()
	if err != nil {
		return err
	}
	options := config.Jobs.Inspect.Options
	options.Log = log.With("job", jobs.Inspect)
	options.Decode, options.Keep = f.content, f.save != ""
	if f.count > 0 {
		options.Samples = int(min(f.count, math.MaxInt32))
	}
	result := report.NewInspection(len(f.files) > 0)
	save, err := newSaving(f.save)
	if err != nil {
		return err
	}
	defer save.close()
	var found inspect.Report
	if len(f.files) > 0 {
		found, err = inspect.CheckFiles(ctx, options, f.files, a.Stdin, result.Add)
	} else {
		options.Summaries = true
		found, err = a.inspectStreams(ctx, config, options, log, streams, f, func(m inspect.Message) { result.Add(save.message(m)) })
	}
	err = errors.Join(err, save.err)
	if err != nil && found.Messages == 0 {
		return err
	}
	result.Finish(found)
	if err := report.WriteInspection(a.screen(), format, result); err != nil {
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

// inspectStreams samples the streams named, or all, or judges one message.
func (a *app) inspectStreams(ctx context.Context, config Options, o inspect.Options, log *slog.Logger, streams []string, f inspectFlags,
	visit func(inspect.Message),
) (r inspect.Report, err error) {
	b, err := a.openOnce(ctx, config, log, true, nil)
	if err != nil {
		return r, err
	}
	defer func() {
		if err = withMissingRights(ctx, b, uses(config).OnlyReading(), err); err == nil && r.Messages == 0 && len(streams) == 0 {
			log.Warn("nothing found", "reason", b.Absence(ctx))
		}
		_ = b.Close()
	}()
	progress := report.NewProgress(a.Stderr, isTerminal(a.Stderr))
	defer progress.Done()
	o.OnProgress = func(p inspect.Progress) { progress.Show(jobs.InspectProgress(p)) }
	inspector := inspect.New(b, o)
	switch {
	case f.id != "":
		return inspector.InspectOne(ctx, streams, f.messageID, visit)
	case len(streams) == 0:
		return inspector.Run(ctx, visit)
	default:
		return inspector.Inspect(ctx, streams, visit)
	}
}

// saving writes payloads to files, if that was asked for.
type saving struct {
	saver *inspect.Saver
	err   error // the first
}

func newSaving(dir string) (*saving, error) {
	if dir == "" {
		return &saving{}, nil
	}
	saver, err := inspect.NewSaver(dir)
	return &saving{saver: saver}, err
}

// message saves the payload of a message, and returns the message as it is shown.
func (s *saving) message(m inspect.Message) inspect.Message {
	if s.saver != nil {
		if err := s.saver.Save(&m); err != nil && s.err == nil {
			s.err = err
		}
	}
	return m
}

func (s *saving) close() {
	if s.saver != nil {
		_ = s.saver.Close()
	}
}
