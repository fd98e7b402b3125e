package cli

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/explain"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/report"
)

func (a *app) explainCommand() *cobra.Command {
	var session bool
	c := &cobra.Command{
		Use:   "explain NAME…",
		Short: "Say everything about a stream or a session: what it holds, what goes, and why the rest stays",
		Long: "explain says of a stream what it holds, which policy applies, what the next trim removes, what\n" +
			"protects the rest, which sessions name it and when it retires; of a session its state, and when it\n" +
			"expires. It only reads. Where a stream and a session have one name, it is about the stream.\n\n" +
			"Settings: docs/settings.md.",
		Example:           "  streamkeeper explain 'car 7'\n  streamkeeper explain --session 0f5c9a3e -o json",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completeStreams,
		RunE: func(c *cobra.Command, args []string) error {
			names := make([]string, len(args))
			for i, text := range args {
				var err error
				if names[i], err = buffer.Unescape(text); err != nil {
					return usageError{err}
				}
			}
			return a.explain(c.Context(), names, session)
		},
	}
	a.outputFlag(c)
	a.redisFlag(c)
	c.Flags().BoolVar(&session, "session", false, "the names are those of sessions")
	return c
}

func (a *app) explain(ctx context.Context, names []string, sessions bool) error {
	format, err := a.format()
	if err != nil {
		return err
	}
	config, _, err := a.load()
	if err != nil {
		return err
	}
	// What a run would log is not about the names that are asked for.
	log := slog.New(slog.DiscardHandler)
	b, err := a.openOnce(ctx, config, log, true, nil)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()
	o := explain.Options{Trim: config.Jobs.Trim.Options, Cleanup: config.Jobs.Cleanup.Options}
	o.Trim.Log, o.Cleanup.Log = log, log
	o.Trim.Paused, o.Cleanup.Paused = jobs.NewPauses(b, jobs.Trim).Streams, jobs.NewPauses(b, jobs.Cleanup).Streams
	result, err := explain.Explain(ctx, b, o, names)
	if err != nil {
		return withMissingRights(ctx, b, uses(config).OnlyReading(), err)
	}
	x := report.Explanations{Redis: redisReport(b)}
	var unknown []string
	for _, answer := range result.Answers {
		switch {
		case answer.Stream != nil && !sessions:
			x.AddStream(answer.Stream, result)
		case len(answer.Sessions) > 0:
			for _, s := range answer.Sessions {
				x.AddSession(s, result)
			}
		default:
			unknown = append(unknown, unknownName(answer, sessions))
		}
	}
	if len(x.Streams)+len(x.Sessions) > 0 || format == report.JSON {
		if err := report.WriteExplanations(a.screen(), format, x); err != nil {
			return err
		}
	}
	if len(unknown) > 0 {
		return fmt.Errorf("%s", strings.Join(unknown, "; "))
	}
	return nil
}

// unknownName says that nobody knows a name.
func unknownName(answer explain.Answer, sessions bool) string {
	what := "stream or session"
	if sessions {
		what = "session"
	}
	text := fmt.Sprintf("there is no %s %s", what, buffer.Quote(answer.Name))
	if len(answer.Near) == 0 {
		return text
	}
	var near []string
	for _, name := range answer.Near {
		near = append(near, buffer.Quote(name))
	}
	return text + ": did you mean " + strings.Join(near, " or ") + "?"
}
