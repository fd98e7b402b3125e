package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/escape"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/report"
)

// pauseOptions are the flags of pause.
type pauseOptions struct {
	length              days
	stream, job, reason string
}

func (a *app) pauseCommand() *cobra.Command {
	var o pauseOptions
	c := &cobra.Command{
		Use:   "pause --for 1h",
		Short: "Stop removals for a while",
		Long: "pause stops every instance, and once, from removing anything for a while: all of it, or one job, or\n" +
			"the streams that a pattern matches (a Redis glob, or a quoted name such as '\"odd, name\"'). What is\n" +
			"being removed ends within seconds. Names are still restored, and figures read. A pause ends by\n" +
			"itself, after 30d at most; streamkeeper resume ends it before. Without --job it stops trim and\n" +
			"cleanup. It works at maxmemory, too.",
		Example: "  streamkeeper pause --for 1h\n  streamkeeper pause --for 1d --stream 'rocket-*' --reason 'test day'\n" +
			"  streamkeeper pause --for 2h --job cleanup\n  streamkeeper pause list",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.pause(c.Context(), o) },
	}
	a.outputFlag(c)
	a.redisFlag(c)
	c.Flags().Var(&o.length, "for", "how long, 1s to 30d; it must be given")
	c.Flags().StringVar(&o.stream, "stream", "", "pause what is done to the streams that this pattern matches")
	c.Flags().StringVar(&o.job, "job", "", "pause one job: "+strings.Join(jobs.OnDemand(), ", "))
	c.Flags().StringVar(&o.reason, "reason", "", "why, for those who see it")
	offer(c, "job", jobs.OnDemand())
	c.AddCommand(a.pauseListCommand())
	return c
}

func (a *app) pauseListCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "list",
		Short:   "Print what is paused",
		Long:    "list prints the pauses that hold now, the one that ends first at the top.",
		Example: "  streamkeeper pause list\n  streamkeeper pause list -o json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withBuffer(c.Context(), true, func(at opened) error {
				held, err := at.b.Pauses(c.Context())
				if err != nil {
					return err
				}
				return report.WritePauses(a.screen(), at.format, report.NewPauses(held))
			})
		},
	}
	a.outputFlag(c)
	a.redisFlag(c)
	return c
}

func (a *app) resumeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "resume [ID…]",
		Short: "End pauses: all, or those named",
		Long: "resume ends all pauses, or those named by their ids, which pause and pause list print. It exits\n" +
			"with 1, and ends none, if one of them is not there.",
		Example: "  streamkeeper resume\n  streamkeeper resume 3f9a01c2",
		RunE: func(c *cobra.Command, args []string) error {
			ids, err := unescaped(args)
			if err != nil {
				return usageError{err}
			}
			return a.noting(c.Context(), func(at opened) error {
				ended, err := at.b.Resume(c.Context(), ids...)
				if err != nil {
					return err
				}
				return report.WriteResumed(a.screen(), at.format, report.NewPauses(ended))
			})
		},
	}
	a.outputFlag(c)
	a.redisFlag(c)
	return c
}

// check says what is wrong with the flags.
func (o *pauseOptions) check() (p buffer.Pause, err error) {
	p = buffer.Pause{Job: o.job, Pattern: escape.Bytes(o.stream), Reason: escape.Bytes(o.reason)}
	var faults []error
	if o.length.Duration == 0 {
		faults = append(faults, errors.New("--for is missing; allowed: 1s to 30d"))
	} else if err := p.Check(o.length.Duration); err != nil {
		faults = append(faults, err)
	}
	if o.job != "" && !slices.Contains(jobs.OnDemand(), o.job) {
		faults = append(faults, fmt.Errorf("--job %q; allowed: %s", o.job, strings.Join(jobs.OnDemand(), ", ")))
	}
	return p, errors.Join(faults...)
}

func (a *app) pause(ctx context.Context, o pauseOptions) error {
	p, err := o.check()
	if err != nil {
		return usageError{err}
	}
	return a.noting(ctx, func(at opened) error {
		p, err := at.b.Pause(ctx, p, o.length.Duration)
		if err != nil {
			return err
		}
		out := report.Paused{Pause: report.NewPauses(buffer.Pauses{p})[0]}
		if p.Pattern != "" {
			// It holds, whether they can be counted or not.
			out.Streams, out.Of, _ = countMatches(ctx, at.b, p.Pattern)
		}
		return report.WritePaused(a.screen(), at.format, out)
	})
}

// countMatches counts the streams that a pattern matches, and all.
func countMatches(ctx context.Context, b *buffer.Buffer, text string) (matches, all int64, err error) {
	pattern, err := buffer.ParsePattern(text)
	if err != nil {
		return 0, 0, err
	}
	err = b.WalkStreams(ctx, func(names []string) error {
		all += int64(len(names))
		for _, name := range names {
			if pattern.Match(name) {
				matches++
			}
		}
		return nil
	})
	return matches, all, err
}

// noting opens the buffer for a command that notes something about pauses.
func (a *app) noting(ctx context.Context, do func(opened) error) error {
	return a.withBuffer(ctx, false, func(at opened) error {
		if err := at.b.Refusal(ctx); err != nil {
			return err
		}
		return do(at)
	})
}
