// Command streamkeeper looks after the Redis Streams of an RTA Stream Service:
// it trims streams, expires sessions, retires dead streams, and says whether
// what flows is valid.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/streamkeeper/streamkeeper/internal/cli"
)

// version and revision are stamped by the build; see the Makefile. Without that
// they are what Go noted of the module and the repository.
var version, revision string

// gcPercent lets the heap grow to a multiple of what is alive, which is a few
// megabytes: collecting less often saves a fifth of the time of a full scan.
const gcPercent = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Program{
		Load: load, Version: version, Revision: revision,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		DumbTerminal: os.Getenv("TERM") == "dumb", NoColour: os.Getenv("NO_COLOR") != "",
	}.Run(ctx, os.Args[1:]))
}
