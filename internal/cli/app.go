package cli

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/settings"
	"github.com/streamkeeper/streamkeeper/report"
)

// app is what the commands share: the outside world, and the flags of the
// command that runs.
type app struct {
	Program
	started bool
	// called is the command with those above it, once it has ended.
	called string
	// patience is how long the command is awaited once it was told to end.
	patience atomic.Int64

	output   string
	redisURL string
	dryRun   bool
}

// outputFlag adds -o to a command that prints results.
func (a *app) outputFlag(c *cobra.Command) {
	c.Flags().StringVarP(&a.output, "output", "o", string(report.Table), "how to print results: table or json")
	offer(c, "output", []string{string(report.Table), string(report.JSON)})
}

// redisFlag adds --redis-url.
func (a *app) redisFlag(c *cobra.Command) {
	c.Flags().StringVar(&a.redisURL, "redis-url", "", "where Redis is, instead of STREAMKEEPER_REDIS_URL")
}

func (a *app) dryRunFlag(c *cobra.Command) {
	c.Flags().BoolVar(&a.dryRun, "dry-run", false, "decide and report, but change nothing")
}

// format reads -o.
func (a *app) format() (report.Format, error) {
	f, err := report.ParseFormat(a.output)
	if err != nil {
		return "", usageError{err}
	}
	return f, nil
}

// load reads the configuration and makes the logger it asks for.
func (a *app) load(overrides ...settings.Override) (Options, *slog.Logger, error) {
	if a.redisURL != "" {
		overrides = append(overrides, settings.Override{Name: "REDIS_URL", Text: a.redisURL, Origin: "--redis-url"})
	}
	o, err := a.Load(overrides...)
	if err != nil {
		return o, nil, err
	}
	return o, a.logger(o, a.Stderr), nil
}

// logger writes to w, which leads to stderr.
func (a *app) logger(o Options, w io.Writer) *slog.Logger {
	h := &slog.HandlerOptions{Level: o.LogLevel, ReplaceAttr: withUnit}
	handler := func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, h) }
	if o.LogFormat == "text" || o.LogFormat == settings.Auto && isTerminal(a.Stderr) {
		handler = func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, h) }
	}
	if m, ok := a.Stderr.(*messages); ok {
		m.logged(handler)
	}
	return slog.New(handler(w))
}

// onDroppedLines lets somebody hear how many lines of the log nobody took.
func (a *app) onDroppedLines(hear func(lines int64)) {
	if m, ok := a.Stderr.(*messages); ok {
		m.OnDropped(hear)
	}
}

// withUnit writes durations as text: in JSON they would be numbers of nanoseconds.
func withUnit(_ []string, attr slog.Attr) slog.Attr {
	if attr.Value.Kind() == slog.KindDuration {
		attr.Value = slog.StringValue(attr.Value.Duration().Round(time.Microsecond).String())
	}
	return attr
}

func isTerminal(w any) bool {
	f, ok := file(w)
	return ok && term.IsTerminal(int(f.Fd()))
}

// answerPatience is how long a command that was told to end waits for Redis: what
// is under way is answered within it, unless Redis hangs.
const answerPatience = 250 * time.Millisecond

// openOnce connects to the buffer for a command that ends at once when it is told
// to, even if Redis hangs.
func (a *app) openOnce(ctx context.Context, o Options, log *slog.Logger, readOnly bool, onError func(redisconn.Class)) (*buffer.Buffer, error) {
	o.Buffer.Connection.Lines, _ = linesUntil(ctx)
	return a.open(ctx, o, log, readOnly, onError)
}

// opened is what a command works with that looks at the buffer and prints what it
// found.
type opened struct {
	config Options
	log    *slog.Logger
	format report.Format
	b      *buffer.Buffer
}

// withBuffer opens the buffer for such a command, and adds to an error about a right
// all that are missing.
func (a *app) withBuffer(ctx context.Context, readOnly bool, do func(opened) error) error {
	format, err := a.format()
	if err != nil {
		return err
	}
	config, log, err := a.load()
	if err != nil {
		return err
	}
	b, err := a.openOnce(ctx, config, log, readOnly, nil)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()
	u := uses(config)
	if readOnly {
		u = u.OnlyReading()
	}
	if err := do(opened{config, log, format, b}); err != nil {
		return withMissingRights(ctx, b, u, err)
	}
	return nil
}

// linesUntil are connections that end soon after ctx, unless they are let go
// before.
func linesUntil(ctx context.Context) (lines *redisconn.Lines, release func() bool) {
	lines = new(redisconn.Lines)
	release = context.AfterFunc(ctx, func() { time.AfterFunc(answerPatience, lines.Cut) })
	return lines, release
}

// open connects to the buffer. What is wrong with our own files is a fault of the
// configuration.
func (a *app) open(ctx context.Context, o Options, log *slog.Logger, readOnly bool, onError func(redisconn.Class)) (*buffer.Buffer, error) {
	if err := o.Buffer.Connection.Check(); err != nil {
		return nil, settings.ConfigErrors{err.Error()}
	}
	b := o.Buffer
	b.ReadOnly, b.OnError, b.Log = readOnly, onError, log
	return buffer.Open(ctx, b)
}

func redisReport(b *buffer.Buffer) report.Redis {
	s := b.Server()
	address, database := b.Target()
	return report.Redis{Version: s.Version, Mode: s.Mode, Role: s.Role, Address: address, Database: database}
}

// screen is stdout, as tables are fitted to it where it is a terminal.
func (a *app) screen() io.Writer {
	f, ok := file(a.Stdout)
	if !ok || !isTerminal(f) {
		return a.Stdout
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		width = 80
	}
	return report.Screen{Writer: a.Stdout, Width: width, Colour: !a.NoColour && !a.DumbTerminal}
}
