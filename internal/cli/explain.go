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

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/explain"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/report"
)

func (a *app) explainCommand() *cobra.Command {
	var session bool
	var at string
	c := &cobra.Command{
		Use:   "explain NAME…",
		Short: "Say what a stream or a session holds, what goes, and why the rest stays",
		Long: "explain says of a stream what it holds, which policy applies, what the next trim removes, what\n" +
			"protects the rest, which sessions name it and when it retires; of a session its state, and when it\n" +
			"expires; of both what the history has of them, also where they are gone. It only reads. Where a\n" +
			"stream and a session have one name, it is about the stream.\n\n" +
			"--at TIME, or T1..T2, also says whether the data of that time was removed from the stream: by\n" +
			"streamkeeper, by others, or not at all; that takes about a second longer.",
		Example: "  streamkeeper explain 'car 7'\n  streamkeeper explain --session 0f5c9a3e -o json\n" +
			"  streamkeeper explain 'car 7' --at 14:05\n  streamkeeper explain 'car 7' --at '2026-01-31 14:05..2026-01-31 14:20'",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completeStreams,
		RunE: func(c *cobra.Command, args []string) error {
			names, err := unescaped(args)
			if err == nil && at != "" {
				_, err = explain.ParseSpan(at, time.Now())
			}
			if err == nil && at != "" && session {
				err = errors.New("--at is about streams, not about sessions")
			}
			if err != nil {
				return usageError{err}
			}
			return a.explain(c.Context(), names, session, at)
		},
	}
	a.outputFlag(c)
	a.redisFlag(c)
	c.Flags().BoolVar(&session, "session", false, "the names are those of sessions")
	c.Flags().StringVar(&at, "at", "", "the time of data that is missed: "+explain.SpanForms)
	return c
}

func (a *app) explain(ctx context.Context, names []string, sessions bool, span string) error {
	return a.withBuffer(ctx, true, func(at opened) error {
		o := explainOptions(at.config, at.b)
		o.At, o.Sessions = span, sessions
		result, err := explain.Explain(ctx, at.b, o, names)
		if err != nil {
			return err
		}
		return a.writeExplained(ctx, at, result, sessions)
	})
}

// explainOptions are the jobs as they are set up.
func explainOptions(config Options, b *buffer.Buffer) explain.Options {
	o := explain.Options{
		Trim: config.Jobs.Trim.Options, Cleanup: config.Jobs.Cleanup.Options, TrimOff: !config.Jobs.Trim.Enabled,
		CleanupOff: !config.Jobs.Cleanup.Enabled, HistoryOff: config.HistoryLength == 0,
	}
	// What a run would log is not about the names that are asked for.
	o.Trim.Log, o.Cleanup.Log = slog.New(slog.DiscardHandler), slog.New(slog.DiscardHandler)
	o.Trim.Paused, o.Cleanup.Paused = jobs.NewPauses(b, jobs.Trim).Streams, jobs.NewPauses(b, jobs.Cleanup).Streams
	return o
}

// writeExplained prints what is known, and fails for names that nobody knows.
func (a *app) writeExplained(ctx context.Context, at opened, result explain.Result, sessions bool) error {
	x := report.Explanations{Redis: redisReport(at.b)}
	held, err := at.b.Pauses(ctx)
	if err != nil {
		return err
	}
	var unknown []error
	var streams []string
	for _, answer := range result.Answers {
		if answer.Name != answer.Asked {
			at.log.Info("took name without key prefix", "stream", buffer.Escape(answer.Name))
		}
		switch {
		case answer.Stream != nil && !sessions:
			x.AddStream(answer.Stream, result)
			streams = append(streams, answer.Stream.Name)
		case len(answer.Sessions) > 0:
			for _, s := range answer.Sessions {
				x.AddSession(s, result)
				streams = append(streams, s.Stream)
			}
		default:
			unknown = append(unknown, unknownName(answer, sessions, result.Record))
		}
	}
	x.Paused = report.NewPauses(slices.DeleteFunc(held, func(p buffer.Pause) bool {
		return p.Job == jobs.Inspect || !slices.ContainsFunc(streams, buffer.Pauses{p}.Match)
	}))
	if len(x.Streams)+len(x.Sessions) > 0 || at.format == report.JSON {
		if err := report.WriteExplanations(a.screen(), at.format, x); err != nil {
			return err
		}
	}
	return errors.Join(unknown...)
}

// unknownName says that nobody knows a name.
func unknownName(answer explain.Answer, sessions bool, record explain.Record) error {
	what := "stream or session"
	if sessions {
		what = "session"
	}
	more := ""
	if answer.Others && !sessions {
		more += "; STREAMS_INCLUDE and STREAMS_EXCLUDE leave a stream of that name to others"
	}
	switch {
	case record.Trouble != "":
		more += "; whether there was one is not known: " + record.Trouble
	case record.Off:
		more += "; whether there was one is not known: nothing is recorded (HISTORY_LENGTH is 0)"
	}
	if len(answer.Near) == 0 {
		return fmt.Errorf("there is no %s %s%s", what, buffer.Quote(answer.Name), more)
	}
	near := make([]string, len(answer.Near))
	for i, name := range answer.Near {
		near[i] = buffer.Quote(name)
	}
	return fmt.Errorf("there is no %s %s: did you mean %s?%s", what, buffer.Quote(answer.Name), strings.Join(near, " or "), strings.Replace(more, "; ", " ", 1))
}
