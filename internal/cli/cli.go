// Package cli holds the commands, one a file. They wire rooms together and
// decide nothing.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/internal/rescue"
	"github.com/streamkeeper/streamkeeper/internal/settings"
)

// Exit codes. If several apply, the first in this order counts: usage,
// failure, guard, invalid.
const (
	ExitOK      = 0
	ExitFailure = 1
	ExitUsage   = 2
	ExitBrake   = 3
	ExitInvalid = 4
)

// Errors that only set the exit code; what there is to say has been said.
var (
	errFailed  = errors.New("a job failed")
	errBrake   = errors.New("the mass-deletion guard stopped the clean-up")
	errInvalid = errors.New("invalid messages")
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
	// Version and Revision of the build.
	Version, Revision string
	Stdin             io.Reader
	Stdout, Stderr    io.Writer
	// DumbTerminal says that a terminal cannot be written over.
	DumbTerminal bool
}

// Run runs a command line until it is done or ctx ends, and returns the exit
// code.
func (p Program) Run(ctx context.Context, args []string) int {
	a := &app{Program: p}
	root := a.command() //nolint:contextcheck // cobra hands the context on
	root.SetArgs(args)
	err := rescue.Call(func() error { return root.ExecuteContext(ctx) })
	if err != nil && !a.started {
		// Cobra found fault with the arguments before any command began.
		err = usageError{err}
	}
	return a.exitCode(err)
}

// exitCode turns the error of a command into an exit code, and says on stderr
// what was not said yet.
func (a *app) exitCode(err error) int {
	var usage usageError
	var faults settings.ConfigErrors
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &usage):
		fmt.Fprintf(a.Stderr, "streamkeeper: %v\nTry: streamkeeper --help\n", err)
		return ExitUsage
	case errors.As(err, &faults):
		fmt.Fprintf(a.Stderr, "streamkeeper: the configuration is wrong:\n%v\n", err)
		return ExitUsage
	case errors.Is(err, errFailed):
		return ExitFailure
	case errors.Is(err, errBrake):
		return ExitBrake
	case errors.Is(err, errInvalid):
		return ExitInvalid
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
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	root.AddCommand(a.runCommand(), a.onceCommand(), a.planCommand(), a.inspectCommand(), a.demoCommand(), a.aclCommand(), a.configCommand(), a.versionCommand())
	return root
}
