package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/history"
	"github.com/streamkeeper/streamkeeper/internal/human"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/report"
)

// undoFlags are the flags of undo.
type undoFlags struct {
	since days
	drop  bool
}

func (a *app) undoCommand() *cobra.Command {
	var f undoFlags
	c := &cobra.Command{
		Use:   "undo SESSION…",
		Short: "Put expired sessions back",
		Long: "undo puts sessions that have expired back as they were, byte for byte, with the time to live that was\n" +
			"left, or with --since all that expired in that time. A session that somebody has written since stays\n" +
			"as it is. What is put back expires again only after another full CLEANUP_EXPIRE_AFTER, or after\n" +
			"undo --drop, which forgets the copy of a session and that it was put back. Copies are kept for\n" +
			"CLEANUP_UNDO_FOR, as far as CLEANUP_UNDO_MAX_BYTES and Redis's memory allow. It exits with 1 for a\n" +
			"session that was not put back.\n\n" +
			"Settings: CLEANUP_UNDO_FOR, CLEANUP_UNDO_MAX_BYTES in docs/settings.md.",
		Example: "  streamkeeper undo 0f5c9a3e\n  streamkeeper undo --since 1h --dry-run\n  streamkeeper undo --drop 0f5c9a3e",
		RunE: func(c *cobra.Command, args []string) error {
			names, err := unescaped(args)
			if err == nil {
				err = f.check(names)
			}
			if err != nil {
				return usageError{err}
			}
			return a.undo(c.Context(), f, names)
		},
	}
	a.outputFlag(c)
	a.redisFlag(c)
	a.dryRunFlag(c)
	c.Flags().Var(&f.since, "since", "put all back that expired in this time, such as 1h or 1d")
	c.Flags().BoolVar(&f.drop, "drop", false, "forget the copies of sessions, and that they were put back")
	return c
}

// check says what is wrong with flags and names.
func (f undoFlags) check(names []string) error {
	switch since := f.since.Duration; {
	case since < 0:
		return errors.New("--since: want more than 0; allowed: a duration such as 1h")
	case since > 0 && len(names) > 0:
		return errors.New("--since is for all sessions that expired in that time: name none, or leave it out")
	case since > 0 && f.drop:
		return errors.New("--drop is for sessions that are named; allowed: without --since")
	case since == 0 && len(names) == 0:
		return errors.New("no session is named; allowed: sessions, or --since")
	}
	return nil
}

func (a *app) undo(ctx context.Context, f undoFlags, names []string) error {
	open := a.noting
	if a.dryRun {
		open = func(ctx context.Context, do func(opened) error) error { return a.withBuffer(ctx, true, do) }
	}
	return open(ctx, func(at opened) error {
		out := report.Undo{Version: a.Version, Redis: redisReport(at.b), DryRun: a.dryRun, All: []report.UndoResult{}}
		slices.Sort(names)
		names = slices.Compact(names)
		faults, err := a.undone(ctx, at, f, names, &out)
		if len(out.All) > 0 || at.format == report.JSON || err == nil && len(faults) == 0 {
			err = errors.Join(err, report.WriteUndo(a.screen(), at.format, out))
		}
		return errors.Join(append(faults, err)...)
	})
}

// undone does it, and says what is wrong with single sessions.
func (a *app) undone(ctx context.Context, at opened, f undoFlags, names []string, out *report.Undo) (faults []error, err error) {
	if f.drop {
		return a.dropCopies(ctx, at, names, out)
	}
	now, err := at.b.Time(ctx)
	if err != nil {
		return nil, err
	}
	recorder := history.New(at.b, history.Options{Length: at.config.HistoryLength, Instance: instanceName(), Log: at.log})
	defer recorder.Flush(ctx)
	met := make(map[string]bool)
	u := history.Undo{Sessions: names, Notes: notesFor(at.config.Jobs.Cleanup.Limits.ExpireAfter), DryRun: a.dryRun}
	if f.since.Duration > 0 {
		u.Since = now.Add(-f.since.Duration)
	}
	u.On = func(r history.Return) { //nolint:contextcheck // what is recorded is written in the background
		met[r.Identity] = true
		out.Add(r)
		switch {
		case r.Err != nil:
			faults = append(faults, r.Err)
			if redisconn.Unanswered(r.Err) {
				recorder.Unknown(1, r.Err)
			}
		case r.Undone == registry.IsBack && !a.dryRun:
			recorder.Add(string(cleanup.Restore), r.Identity, cleanup.PutBackReason+", expired "+human.Duration(now.Sub(r.Expired))+" before")
		case len(names) > 0 && r.Undone != registry.IsBack:
			faults = append(faults, notPutBack(r))
		}
	}
	if err := u.Run(ctx, at.b); err != nil {
		return nil, err
	}
	for _, name := range names {
		if met[name] {
			continue
		}
		result, fault, err := a.withoutCopy(ctx, at, name)
		if err != nil {
			return faults, err
		}
		out.AddName(name, result)
		faults = append(faults, fault)
	}
	return faults, nil
}

// notesFor is for how long it is noted that a session was put back: longer than
// CLEANUP_EXPIRE_AFTER, which may be longer where clean-up runs.
func notesFor(expireAfter time.Duration) time.Duration {
	const least = 30 * 24 * time.Hour
	return max(2*expireAfter, least)
}

// notPutBack says why a session stays as it is.
func notPutBack(r history.Return) error {
	switch {
	case r.Others:
		return fmt.Errorf("session %s names stream %s, which STREAMS_INCLUDE and STREAMS_EXCLUDE leave to others", buffer.Quote(r.Identity), buffer.Quote(r.Stream))
	case r.Undone == registry.Exists:
		return fmt.Errorf("session %s exists again: it was written since it expired, and stays as it is", buffer.Quote(r.Identity))
	}
	return fmt.Errorf("the copy of session %s has gone meanwhile: try again", buffer.Quote(r.Identity))
}

// withoutCopy says what is known of a session that has no copy.
func (a *app) withoutCopy(ctx context.Context, at opened, name string) (result string, fault, err error) {
	there, err := at.b.SessionsExist(ctx, at.b.Anywhere(name))
	if err != nil {
		return "", nil, err
	}
	if there {
		return report.Exists, fmt.Errorf("session %s is there: there is nothing to put back", buffer.Quote(name)), nil
	}
	var last *buffer.Removal
	err = at.b.WalkHistory(ctx, time.Time{}, func(r buffer.Removal) {
		if last == nil && r.Action == string(cleanup.Expire) && buffer.NotedAs(name, r.Name) {
			last = &r
		}
	})
	if err != nil {
		return "", nil, err
	}
	if last != nil {
		return report.NoCopy, fmt.Errorf("session %s expired at %s (%s), and there is no copy of it any more", buffer.Quote(name),
			last.Time.Format("2006-01-02 15:04:05 MST"), last.Reason), nil
	}
	near, err := nearCopies(ctx, at.b, name)
	if err != nil {
		return "", nil, err
	}
	hint := ""
	if len(near) > 0 {
		hint = ": did you mean " + strings.Join(near, " or ") + "?"
	}
	return report.NoCopy, fmt.Errorf("there is no session %s, and no copy of one that expired%s", buffer.Quote(name), hint), nil
}

// nearCopies are the names of copies that a typing error may have been meant for.
func nearCopies(ctx context.Context, b *buffer.Buffer, name string) (near []string, err error) {
	const edits, most = 2, 3
	err = b.WalkCopies(ctx, func(c registry.Copy) error {
		if diff := len(c.Identity) - len(name); len(near) < most && diff <= edits && diff >= -edits && len(name) > edits &&
			human.EditDistance(c.Identity, name) <= edits && !slices.Contains(near, buffer.Quote(c.Identity)) {
			near = append(near, buffer.Quote(c.Identity))
		}
		return nil
	})
	return near, err
}

// dropCopies forgets what is kept of sessions.
func (a *app) dropCopies(ctx context.Context, at opened, names []string, out *report.Undo) (faults []error, err error) {
	for _, name := range names {
		others, err := othersCopy(ctx, at.b, name)
		if err != nil {
			return faults, err
		}
		if others != nil {
			out.AddName(name, report.Others)
			faults = append(faults, notPutBack(history.Return{Copy: *others, Others: true}))
			continue
		}
		there, err := a.dropCopy(ctx, at.b, name)
		if err != nil {
			return faults, err
		}
		if !there {
			out.AddName(name, report.NoCopy)
			faults = append(faults, fmt.Errorf("there is no copy of session %s, and it was not put back", buffer.Quote(name)))
			continue
		}
		out.AddName(name, report.Dropped)
	}
	return faults, nil
}

// othersCopy is a copy of a session whose stream is left to others; nil if none is.
func othersCopy(ctx context.Context, b *buffer.Buffer, name string) (others *registry.Copy, err error) {
	err = b.CopiesOf(ctx, []string{name}, func(c registry.Copy) error {
		if c.HasStream && !b.Owns(c.Stream) {
			others = &c
		}
		return nil
	})
	return others, err
}

func (a *app) dropCopy(ctx context.Context, b *buffer.Buffer, name string) (there bool, err error) {
	if !a.dryRun {
		return b.ForgetCopies(ctx, name)
	}
	err = b.CopiesOf(ctx, []string{name}, func(registry.Copy) error {
		there = true
		return nil
	})
	if err != nil || there {
		return there, err
	}
	at, err := b.PutBack(ctx, b.Anywhere(name))
	return slices.ContainsFunc(at, func(t time.Time) bool { return !t.IsZero() }), err
}
