package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/spf13/cobra"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/internal/escape"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/report"
	"github.com/streamkeeper/streamkeeper/trim"
	"github.com/streamkeeper/streamkeeper/trim/sweep"
)

// planOptions are the arguments and flags of plan.
type planOptions struct {
	all, detailed bool
	// job is the one that is planned, "" for both.
	job string
	// patterns choose streams; nil chooses all. words are how they were given.
	patterns buffer.Patterns
	words    []string
}

func (a *app) planCommand() *cobra.Command {
	var o planOptions
	c := &cobra.Command{
		Use:   "plan [PATTERN…]",
		Short: "Print what once trim cleanup would do, and why; change nothing",
		Long: "plan reads, decides, and prints what `once trim cleanup` would do and why. It sends no command that\n" +
			"writes. Patterns choose streams: Redis globs, or quoted names such as '\"odd, name\"'.",
		Example:           "  streamkeeper plan\n  streamkeeper plan 'rocket-*' --job trim\n  streamkeeper plan --detailed-exitcode -o json",
		ValidArgsFunction: a.completeStreams,
		RunE: func(c *cobra.Command, args []string) error {
			for _, text := range args {
				p, err := buffer.ParsePattern(escape.Bytes(text))
				if err != nil {
					return usageError{err}
				}
				o.patterns = append(o.patterns, p)
			}
			o.words = args
			if o.job != "" && !slices.Contains(planned, o.job) {
				return usageError{fmt.Errorf("--job %q: want trim or cleanup", o.job)}
			}
			return a.plan(c.Context(), o)
		},
	}
	a.outputFlag(c)
	a.redisFlag(c)
	c.Flags().BoolVar(&o.all, "all", false, "list every action, not only the first 1000 of each kind")
	c.Flags().StringVar(&o.job, "job", "", "plan trim or cleanup alone")
	c.Flags().BoolVar(&o.detailed, "detailed-exitcode", false, "exit with 5 if there is something to do")
	offer(c, "job", planned)
	return c
}

// planned are the jobs that a plan is made of.
var planned = []string{jobs.Trim, jobs.Cleanup}

func (a *app) plan(ctx context.Context, o planOptions) error {
	return a.withBuffer(ctx, true, func(at opened) error { return a.planWith(ctx, o, at) })
}

func (a *app) planWith(ctx context.Context, o planOptions, at opened) error {
	b, config := at.b, at.config
	plan := report.NewPlan(redisReport(b), o.all)
	plan.Chosen, plan.Job = o.patterns != nil, o.job
	if b.Server().IsReplica() && !config.Buffer.AllowReplica {
		plan.Refused = redisconn.ErrReplica.Error()
	}
	for _, job := range planned {
		if (o.job == "" || o.job == job) && !slices.Contains(config.Jobs.Enabled(), job) {
			plan.Disabled = append(plan.Disabled, job)
		}
	}
	p := planner{buffer: b, plan: plan, options: o, log: at.log}
	var failed error
	if o.job != jobs.Cleanup {
		plan.Policies = config.Jobs.Trim.Policies.Sentences()
		progress := report.NewProgress(a.Stderr, isTerminal(a.Stderr))
		failed = p.trim(ctx, config.Jobs.Trim.Options, progress)
		progress.Done()
	}
	if o.job != jobs.Trim {
		// What fails both jobs in one way is one fault.
		if err := p.cleanup(ctx, config.Jobs.Cleanup.Options); failed == nil || err != nil && err.Error() != failed.Error() {
			failed = errors.Join(failed, err)
		}
	}
	if failed == nil {
		failed = p.readPauses(ctx)
	}
	if failed == nil && o.patterns != nil {
		failed = p.countChosen(ctx)
	}
	if failed == nil {
		plan.Absence = p.absence(ctx)
	}
	if err := report.WritePlan(a.screen(), at.format, plan); err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	if o.detailed && plan.HasWork() {
		return errWork
	}
	return nil
}

// planner fills a plan.
type planner struct {
	buffer  *buffer.Buffer
	plan    *report.Plan
	options planOptions
	log     *slog.Logger
}

// readPauses takes the pauses of what is planned into the plan.
func (p *planner) readPauses(ctx context.Context) error {
	held, err := p.buffer.Pauses(ctx)
	if err != nil {
		p.failed(err)
		return err
	}
	var planned buffer.Pauses
	for _, pause := range held {
		if pause.Job != jobs.Inspect && (p.options.job == "" || pause.Job == "" || pause.Job == p.options.job) {
			planned = append(planned, pause)
		}
	}
	p.plan.Paused = report.NewPauses(planned)
	return nil
}

// absence says why nothing was found, "" if something was.
func (p *planner) absence(ctx context.Context) string {
	s := p.plan.Summary
	switch {
	case s.Streams == 0 && p.options.patterns != nil:
		return p.plan.NoMatch
	case s.Streams == 0 && (s.Sessions == nil || *s.Sessions == 0):
		return p.buffer.Absence(ctx)
	}
	return ""
}

// chosen reports whether a stream is asked for.
func (p *planner) chosen(stream string) bool {
	return p.options.patterns == nil || p.options.patterns.Match(stream)
}

func (p *planner) trim(ctx context.Context, o sweep.Options, progress *report.Progress) error {
	b, plan := p.buffer, p.plan
	whole := p.options.patterns != nil && o.Relieves()
	if p.options.patterns != nil && !whole {
		b = b.Only(p.options.patterns)
	}
	var shown sweep.Report
	o.Log = p.log.With("job", jobs.Trim)
	o.Paused = jobs.NewPauses(p.buffer, jobs.Trim).Streams
	o.OnProgress = func(at sweep.Progress) { progress.Show(jobs.TrimProgress(at, progress.Took())) }
	r, err := sweep.New(b, o).Plan(ctx, func(t trim.Cut) {
		if !p.chosen(t.Stream) {
			return
		}
		for _, kept := range t.Protected {
			plan.Protect(report.NewProtection(t.Stream, kept, t.Estimated))
		}
		if t.Entries == 0 {
			return
		}
		shown.StreamsTrimmed++
		shown.EntriesRemoved += t.Entries
		shown.BytesRemoved += t.Bytes
		plan.Add(report.Action{Action: "trim", Stream: t.Stream, Entries: t.Entries, Bytes: t.Bytes, Estimated: t.Estimated, Reason: t.Reason()})
	})
	if err == nil && r.Errors > 0 {
		err = fmt.Errorf("trim: %d streams could not be judged: %w", r.Errors, errors.Join(r.Examples...))
	}
	p.failed(err)
	if p.options.patterns == nil {
		plan.UnusedRules = r.UnusedRules
	}
	if whole {
		r.StreamsTrimmed, r.EntriesRemoved, r.BytesRemoved = shown.StreamsTrimmed, shown.EntriesRemoved, shown.BytesRemoved
	}
	plan.Summary.Streams, plan.Summary.TrimStreams, plan.Summary.TrimEntries = r.Streams, r.StreamsTrimmed, r.EntriesRemoved
	plan.Summary.TrimBytes, plan.Pressure = r.BytesRemoved, r.Pressure
	return err
}

func (p *planner) cleanup(ctx context.Context, o cleanup.Options) error {
	o.Log = p.log.With("job", jobs.Cleanup)
	o.Paused = jobs.NewPauses(p.buffer, jobs.Cleanup).Streams
	counts := make(map[cleanup.Kind]int64)
	r, err := cleanup.New(p.buffer, o).Plan(ctx, func(c cleanup.Action) {
		if !p.chosen(c.Stream) {
			return
		}
		counts[c.Kind]++
		action := report.Action{Action: string(c.Kind), Stream: c.Stream, Reason: c.Reason}
		if c.Kind == cleanup.Expire || c.Kind == cleanup.Abandon {
			action.Session = &c.Session
		}
		p.plan.Add(action)
	})
	s := &p.plan.Summary
	if s.Brake = r.Guard; err == nil {
		s.Sessions = &r.Sessions
	}
	s.ExpireSessions, s.AbandonSessions = r.SessionsExpired, r.SessionsAbandoned
	s.RetireStreams, s.RestoreStreams, s.DropNames = r.StreamsRetired, r.StreamsRestored, r.NamesDropped
	if p.options.patterns != nil {
		// The guard judges all; the counts are of what was asked for.
		s.ExpireSessions, s.AbandonSessions = counts[cleanup.Expire], counts[cleanup.Abandon]
		s.RetireStreams, s.RestoreStreams, s.DropNames = counts[cleanup.Retire], counts[cleanup.Restore], counts[cleanup.DropName]
	} else {
		s.Streams = max(s.Streams, r.Streams)
	}
	s.FlowingSessions, s.PostponedSessions, s.PostponedStreams = r.SessionsFlowing, r.SessionsPostponed, r.StreamsPostponed
	p.plan.PausedSessions, p.plan.PausedStreams = r.SessionsPaused, r.StreamsPaused
	s.BrakeUntil, s.Lost = r.GuardUntil, r.Lost
	p.plan.Failed = append(p.plan.Failed, r.Failed...)
	if p.failed(err); err == nil && r.Errors > 0 {
		err = fmt.Errorf("clean-up: %d items could not be judged", r.Errors)
	}
	return err
}

// failed takes a fault into the plan, once.
func (p *planner) failed(err error) {
	if err != nil && !slices.Contains(p.plan.Failed, err.Error()) {
		p.plan.Failed = append(p.plan.Failed, err.Error())
	}
}

// countChosen counts the listed streams and the sessions that are asked for, and
// finds the patterns that choose no stream.
func (p *planner) countChosen(ctx context.Context) error {
	s := &p.plan.Summary
	s.Streams = 0
	used := make([]bool, len(p.options.patterns))
	err := p.buffer.Only(p.options.patterns).WalkStreams(ctx, func(names []string) error {
		s.Streams += int64(len(names))
		for i, pattern := range p.options.patterns {
			used[i] = used[i] || slices.ContainsFunc(names, pattern.Match)
		}
		return nil
	})
	if err == nil && p.options.job != jobs.Trim {
		sessions := int64(0)
		s.Sessions = &sessions
		err = p.buffer.WalkSessions(ctx, func(page []registry.Session) error {
			for _, session := range page {
				if session.HasStream && !session.Foreign && p.buffer.Owns(session.Stream) && p.chosen(session.Stream) {
					sessions++
				}
			}
			return nil
		})
	}
	for i, word := range p.options.words {
		if err == nil && !used[i] {
			p.plan.Unmatched = append(p.plan.Unmatched, word)
		}
	}
	p.plan.NoMatch = p.buffer.NoMatch(p.plan.Unmatched)
	p.failed(err)
	return err
}
