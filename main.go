// Command streamkeeper looks after the Redis Streams of an RTA Stream Service:
// it trims streams, expires sessions, retires dead streams, and says whether
// what flows is valid.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

// version and revision are stamped by the build; see the Makefile.
var (
	version  = "dev"
	revision = ""
)

// Exit codes. If several apply, the first in this order counts: usage,
// failure, brake, invalid.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
	exitBrake   = 3
	exitInvalid = 4
)

// Errors that only set the exit code; what there is to say has been said.
var (
	errFailed  = errors.New("a job failed")
	errBrake   = errors.New("the brake stopped a mass deletion")
	errInvalid = errors.New("invalid messages")
)

// usageError is a fault of the command line.
type usageError struct{ error }

// gcPercent lets the heap grow to a multiple of what is alive, which is a few
// megabytes: collecting less often saves a fifth of the time of a walk.
const gcPercent = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main with everything given, so that tests can call it.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr}
	root := a.command()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
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
	var config configError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		fmt.Fprintf(a.stderr, "streamkeeper: %v\nTry: streamkeeper --help\n", err)
		return exitUsage
	case errors.As(err, &config):
		fmt.Fprintf(a.stderr, "streamkeeper: the configuration is wrong:\n%v\n", err)
		return exitUsage
	case errors.Is(err, errFailed):
		return exitFailure
	case errors.Is(err, errBrake):
		return exitBrake
	case errors.Is(err, errInvalid):
		return exitInvalid
	}
	fmt.Fprintf(a.stderr, "streamkeeper: %v\n", err)
	return exitFailure
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
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.AddCommand(a.runCommand(), a.onceCommand(), a.planCommand(), a.inspectCommand(), a.demoCommand(), a.aclCommand(), a.configCommand(), a.versionCommand())
	return root
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print version, revision and Go version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(a.stdout, "streamkeeper %s (revision %s, %s)\n", version, buildRevision(), runtime.Version())
			return err
		},
	}
}

// buildRevision is the commit that was built, as stamped or as Go noted it.
func buildRevision() string {
	if revision != "" {
		return revision
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "unknown"
}
