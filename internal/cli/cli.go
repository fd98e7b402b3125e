// Package cli holds the commands, one a file. They wire rooms together and
// decide nothing.
package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/internal/rescue"
	"github.com/streamkeeper/streamkeeper/internal/settings"
)

// Exit codes. If several apply, the first in this order counts: usage,
// failure, guard, invalid, work.
const (
	ExitOK      = 0
	ExitFailure = 1
	ExitUsage   = 2
	ExitBrake   = 3
	ExitInvalid = 4
	ExitWork    = 5
)

// Errors that only set the exit code; what there is to say has been said.
var (
	errFailed  = errors.New("a job failed")
	errBrake   = errors.New("the mass-deletion guard stopped the clean-up")
	errInvalid = errors.New("invalid messages")
	errWork    = errors.New("there is something to do")
)

// usageError is a fault of the command line.
type usageError struct{ error }

// DefaultLeaseTTL lets another replica take over within half a minute.
const DefaultLeaseTTL = 15 * time.Second

// Options are what the configuration says to the commands.
type Options struct {
	// Settings are all of them, to be shown.
	Settings []settings.Shown

	Buffer buffer.Options
	Jobs   jobs.Options
	// MetricsFile and PushURL are where once leaves its metrics; PushURLFile holds
	// the latter where it is empty.
	MetricsFile, PushURL, PushURLFile string
	// HistoryLength is how many removals are remembered.
	HistoryLength int64
	// Listen is the HTTP address; empty for none.
	Listen string
	// LeaseTTL is how long the lease outlives its last renewal; 0 for no lease.
	LeaseTTL      time.Duration
	LogLevel      slog.Level
	LogFormat     string
	ShutdownGrace time.Duration
}

// Program is the outside world of the commands.
type Program struct {
	// Load reads the configuration; overrides outrank the environment. Faults
	// of the user are [settings.ConfigErrors].
	Load func(overrides ...settings.Override) (Options, error)
	// Version and Revision of the build; where they are empty, what Go noted counts.
	Version, Revision string
	Stdin             io.Reader
	Stdout, Stderr    io.Writer
	// DumbTerminal says that a terminal cannot be written over, and NoColour that
	// nobody wants colours there.
	DumbTerminal, NoColour bool
}

// app is what the commands share.
func (p Program) app() *app {
	info, _ := debug.ReadBuildInfo()
	p.Version, p.Revision = identity(p.Version, p.Revision, info)
	return &app{Program: p}
}

// Command is the tree of commands, for manual pages and completions.
func (p Program) Command() *cobra.Command { return p.app().command() }

// Run runs a command line until it is done or ctx ends, and returns the exit
// code. Once ctx has ended it returns within the command's patience, whatever
// hangs.
func (p Program) Run(ctx context.Context, args []string) int {
	out, messages := newOutlet(ctx, p.Stdout), newMessages(p.Stderr)
	p.Stdout, p.Stderr = out, messages
	a := p.app()
	a.patience.Store(int64(oneShotPatience))
	root := a.command() //nolint:contextcheck // cobra hands the context on
	root.SetArgs(args)
	ended := make(chan error, 1)
	go func() {
		err := rescue.Call(func() error {
			called, err := root.ExecuteContextC(ctx)
			a.called = called.CommandPath()
			return err
		})
		if err != nil && !a.started {
			// Cobra found fault with the arguments before any command began.
			err = usageError{err}
		}
		ended <- err
	}()
	err := a.await(ctx, ended)
	code := a.exitCode(err, out)
	messages.end(ctx, lastWords(a.patience.Load()))
	return code
}

// oneShotPatience is how long a command that was told to end may take to say what
// it has done.
const oneShotPatience = 2 * time.Second

// lastWords is the part of a patience that is left for saying that it is over.
func lastWords(patience int64) time.Duration {
	return min(300*time.Millisecond, time.Duration(patience)/4)
}

// errHangs says that a command did not end although it was told to.
var errHangs = errors.New("told to end, and still busy: given up")

// await waits for the command, but not for ever once ctx has ended.
func (a *app) await(ctx context.Context, ended <-chan error) error {
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	patience := a.patience.Load()
	timer := time.NewTimer(time.Duration(patience) - lastWords(patience))
	defer timer.Stop()
	select {
	case err := <-ended:
		return err
	case <-timer.C:
		return errHangs
	}
}

// exitCode turns the error of a command into an exit code, and says on stderr
// what was not said yet.
func (a *app) exitCode(err error, out *outlet) int {
	var usage usageError
	var faults settings.ConfigErrors
	unwritten := out.failure()
	switch {
	case errors.As(err, &usage):
		fmt.Fprintf(a.Stderr, "streamkeeper: %v\nTry: %s --help\n", err, cmp.Or(a.called, "streamkeeper"))
		return ExitUsage
	case errors.As(err, &faults):
		fmt.Fprintf(a.Stderr, "streamkeeper: the configuration is wrong:\n%v\n", err)
		return ExitUsage
	case unwritten != nil:
		fmt.Fprintf(a.Stderr, "streamkeeper: cannot write the result: %v\n", unwritten)
		if !errors.Is(err, unwritten) {
			a.outcome(err)
		}
		return ExitFailure
	}
	return a.outcome(err)
}

// outcome is the exit code of a command that was begun.
func (a *app) outcome(err error) int {
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, errFailed):
		return ExitFailure
	case errors.Is(err, errBrake):
		return ExitBrake
	case errors.Is(err, errInvalid), errors.Is(err, errFindings):
		return ExitInvalid
	case errors.Is(err, errWork):
		return ExitWork
	}
	fmt.Fprintf(a.Stderr, "streamkeeper: %v\n", err)
	if p, ok := errors.AsType[*rescue.PanicError](err); ok {
		fmt.Fprintf(a.Stderr, "This is a bug of streamkeeper; please report it with these lines:\n%s", p.Stack)
	}
	return ExitFailure
}

// command builds the tree of commands.
func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:           "streamkeeper",
		Short:         "Looks after the Redis Streams of an RTA Stream Service",
		Long:          "streamkeeper trims the streams of an RTA stream buffer, expires its sessions, retires dead\nstreams, and says whether the messages that flow are valid.",
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRun: func(*cobra.Command, []string) {
			a.started = true
		},
		Version: a.versionText(),
		Example: "  streamkeeper demo                # the whole thing, without a Redis of yours\n" +
			"  streamkeeper plan                # what it would do, and why\n" +
			"  streamkeeper once                # do it one time\n" +
			"  streamkeeper run                 # keep doing it",
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetHelpTemplate(root.HelpTemplate() + settingsHint)
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), "Flags.FlagUsages", fmt.Sprintf("Flags.FlagUsagesWrapped %d", helpWidth)))
	help := root.HelpFunc()
	root.SetHelpFunc(func(c *cobra.Command, args []string) {
		// cobra would print on stderr that it cannot be written, as we do.
		var text bytes.Buffer
		out := c.OutOrStdout()
		c.SetOut(&text)
		help(c, args)
		c.SetOut(out)
		_, _ = out.Write(text.Bytes())
	})
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	root.AddCommand(a.runCommand(), a.onceCommand(), a.planCommand(), a.explainCommand(), a.historyCommand(), a.undoCommand(), a.pauseCommand(), a.resumeCommand(),
		a.doctorCommand(), a.inspectCommand(), a.demoCommand(), a.aclCommand(), a.configCommand(), a.versionCommand())
	root.SetFlagErrorFunc(flagError)
	addHelpers(root)
	return root
}
