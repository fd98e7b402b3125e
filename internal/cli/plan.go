package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/report"
	"github.com/streamkeeper/streamkeeper/trim"
	"github.com/streamkeeper/streamkeeper/trim/sweep"
)

func (a *app) planCommand() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "plan",
		Short: "Print what once trim cleanup would do, and why; change nothing",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return a.plan(c.Context(), all) },
	}
	a.outputFlag(c)
	a.redisFlag(c)
	c.Flags().BoolVar(&all, "all", false, "list every action, not only the first 1000 of each kind")
	return c
}

func (a *app) plan(ctx context.Context, all bool) error {
	format, err := a.format()
	if err != nil {
		return err
	}
	config, log, err := a.load()
	if err != nil {
		return err
	}
	options := config.Jobs.Trim.Options
	options.Log = log.With("job", jobs.Trim)
	cleanupOptions := config.Jobs.Cleanup.Options
	cleanupOptions.Log = log.With("job", jobs.Cleanup)
	b, err := a.openOnce(ctx, config, log, true, nil)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()

	plan := report.NewPlan(redisReport(b), all)
	plan.Policies = options.Policies.Sentences()
	progress := report.NewProgress(a.Stderr, isTerminal(a.Stderr))
	options.OnProgress = func(p sweep.Progress) { progress.Show(jobs.TrimProgress(p, progress.Took())) }
	trimErr := planTrim(ctx, b, options, plan)
	progress.Done()
	cleanupErr := planCleanup(ctx, b, cleanupOptions, plan)
	if err := report.WritePlan(a.Stdout, format, plan); err != nil {
		return err
	}
	return errors.Join(trimErr, cleanupErr)
}

func planTrim(ctx context.Context, b *buffer.Buffer, o sweep.Options, plan *report.Plan) error {
	r, err := sweep.New(b, o).Plan(ctx, func(t trim.Cut) {
		if t.Entries > 0 {
			plan.Add(report.Action{Action: "trim", Stream: t.Stream, Entries: t.Entries, Estimated: t.Estimated, Reason: t.Reason()})
		}
		for _, p := range t.Protected {
			plan.Protect(report.Protection{
				Stream: t.Stream, By: string(p.By), Group: p.Group, Entries: p.Entries, Estimated: t.Estimated, Reason: p.Reason(),
			})
		}
	})
	if err == nil && r.Errors > 0 {
		err = fmt.Errorf("trim: %d streams could not be judged: %w", r.Errors, errors.Join(r.Examples...))
	}
	if err != nil {
		plan.Failed = append(plan.Failed, err.Error())
	}
	plan.Summary.Streams, plan.Summary.TrimStreams, plan.Summary.TrimEntries = r.Streams, r.StreamsTrimmed, r.EntriesRemoved
	return err
}

func planCleanup(ctx context.Context, b *buffer.Buffer, o cleanup.Options, plan *report.Plan) error {
	r, err := cleanup.New(b, o).Plan(ctx, func(c cleanup.Action) {
		action := report.Action{Action: string(c.Kind), Stream: c.Stream, Reason: c.Reason}
		if c.Kind == cleanup.Expire || c.Kind == cleanup.Abandon {
			action.Session = &c.Session
		}
		plan.Add(action)
	})
	s := &plan.Summary
	s.Streams, s.Sessions, s.Brake = max(s.Streams, r.Streams), r.Sessions, r.Brake
	s.ExpireSessions, s.AbandonSessions = r.SessionsExpired, r.SessionsAbandoned
	s.RetireStreams, s.RestoreStreams, s.DropNames = r.StreamsRetired, r.StreamsRestored, r.NamesDropped
	s.FlowingSessions, s.PostponedSessions, s.PostponedStreams = r.SessionsFlowing, r.SessionsPostponed, r.StreamsPostponed
	s.BrakeUntil, s.Lost = r.BrakeUntil, r.Lost
	plan.Failed = append(plan.Failed, r.Failed...)
	if err != nil {
		plan.Failed = append(plan.Failed, err.Error())
	} else if r.Errors > 0 {
		err = fmt.Errorf("clean-up: %d items could not be judged", r.Errors)
	}
	return err
}
