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
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/history"
	"github.com/streamkeeper/streamkeeper/internal/human"
	"github.com/streamkeeper/streamkeeper/report"
)

// historyFlags are the flags of history.
type historyFlags struct {
	since, action string
	trims         bool
}

// historyActions are what the history can hold.
var historyActions = []string{string(cleanup.Expire), string(cleanup.Retire), string(cleanup.DropName), string(cleanup.Restore), buffer.Gap}

func (a *app) historyCommand() *cobra.Command {
	var f historyFlags
	c := &cobra.Command{
		Use:   "history [NAME…]",
		Short: "Show what was removed, when, by which instance, and why",
		Long: "history shows which sessions, streams and names were removed, when, by which instance, and why,\n" +
			"the newest first; with names of sessions or streams only those. A gap stands for removals that\n" +
			"could not be recorded. It only reads.\n\n" +
			"Settings: HISTORY_LENGTH in docs/settings.md.",
		Example:           "  streamkeeper history --since 24h\n  streamkeeper history 'car 7' -o json\n  streamkeeper history --action expire\n  streamkeeper history 'car 7' --trims",
		ValidArgsFunction: a.completeStreams,
		RunE: func(c *cobra.Command, names []string) error {
			names, err := unescaped(names)
			if err != nil {
				return usageError{err}
			}
			return a.history(c.Context(), f, names)
		},
	}
	a.outputFlag(c)
	a.redisFlag(c)
	c.Flags().StringVar(&f.since, "since", "", "only what was removed in this time, such as 24h or 7d; without it, all that is remembered")
	c.Flags().StringVar(&f.action, "action", "", "only this: "+strings.Join(historyActions, ", "))
	offer(c, "action", historyActions)
	c.Flags().BoolVar(&f.trims, "trims", false, "also what was trimmed from each stream, by the hour, in the last 48 hours")
	return c
}

// check returns how far to look back; 0 for as far as the history goes.
func (f historyFlags) check() (back time.Duration, err error) {
	if f.action != "" && !slices.Contains(historyActions, f.action) {
		return 0, fmt.Errorf("unknown action %q; allowed: %s", f.action, strings.Join(historyActions, ", "))
	}
	if f.since == "" {
		return 0, nil
	}
	back, err = human.ParseDuration(f.since)
	if err == nil && back <= 0 {
		err = errors.New("want more than 0")
	}
	if err != nil {
		return 0, fmt.Errorf("--since %q: %w; allowed: a duration such as 24h", f.since, err)
	}
	return back, nil
}

func (a *app) history(ctx context.Context, f historyFlags, names []string) error {
	back, err := f.check()
	if err != nil {
		return usageError{err}
	}
	return a.withBuffer(ctx, true, func(at opened) error {
		out := report.History{Version: a.Version, Redis: redisReport(at.b), Removals: []report.Removal{}}
		if err := readHistory(ctx, at.b, &out, f, back, names); err != nil {
			return err
		}
		return report.WriteHistory(a.screen(), at.format, out)
	})
}

// readHistory takes in what was asked for.
func readHistory(ctx context.Context, b *buffer.Buffer, out *report.History, f historyFlags, back time.Duration, names []string) error {
	// A name may be given as its key.
	for _, name := range names {
		if plain, ok := b.Names().StreamOf(name); ok {
			names = append(names, plain)
		}
	}
	now, err := b.Time(ctx)
	if err != nil {
		return err
	}
	var since time.Time
	if back > 0 {
		since = now.Add(-back)
	}
	err = b.WalkHistory(ctx, since, func(r buffer.Removal) {
		out.Recorded++
		named := len(names) == 0 || slices.ContainsFunc(names, func(name string) bool { return buffer.NotedAs(name, r.Name) })
		if r.Action == buffer.Gap || named && (f.action == "" || f.action == r.Action) {
			out.Add(r)
		}
	})
	if err != nil || !f.trims {
		return err
	}
	sums, err := b.TrimSums(ctx, now, names)
	out.Trims = []report.TrimSum{}
	for _, s := range sums {
		if s.Hour.Add(time.Hour).After(since) {
			out.AddTrims(s)
		}
	}
	return err
}

// newHistory records what this process removes.
func newHistory(o Options, b *buffer.Buffer, m observers, log *slog.Logger) *history.Recorder {
	return history.New(b, history.Options{Length: o.HistoryLength, Instance: instanceName(), OnDropped: m.HistoryDropped, Log: log})
}
