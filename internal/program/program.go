// Package program builds streamkeeper and runs it as a process of its own, for
// tests of the whole program.
package program

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/streamkeeper/streamkeeper/internal/settings"
)

// Path is where the program lies as its users have it, which the first call builds.
// A package whose tests call it has a TestMain that is [Main].
//
// Tests of the packages run the same code with the race detector, and with it the
// program takes several times as long for everything: the whole program is run with
// it, by [CheckedPath], where one process has much going on at once and no package
// has all of it.
func Path(t testing.TB) string {
	t.Helper()
	return pathOf(t, plain)
}

// CheckedPath is [Path] with the race detector, if the tests have it.
func CheckedPath(t testing.TB) string {
	t.Helper()
	return pathOf(t, checked)
}

func pathOf(t testing.TB, built func() (string, error)) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var checked = sync.OnceValues(func() (string, error) {
	if raceDetector {
		return build("checked", "-race")
	}
	return plain()
})

var plain = sync.OnceValues(func() (string, error) { return build("plain") })

// Main runs the tests of a package and takes away what [Path] has built. Most of
// a test of the whole program is waiting for schedules, leases and timeouts: more
// of them run at once than there are processors, unless -parallel says how many.
func Main(m *testing.M) {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "test.parallel" })
	if !asked {
		_ = flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0)))
	}
	code := m.Run()
	if dir, err := own(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// Env are the settings in the environment of the program, by their names without
// the prefix. Nothing of the test's own environment is passed on.
type Env map[string]string

// variables are those that the program sees. The race detector would otherwise wait
// for a second before the end of each process, whatever there is to report.
func (e Env) variables() []string {
	all := []string{"PATH=" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0"}
	for name, value := range e {
		all = append(all, settings.Prefix+"_"+name+"="+value)
	}
	return all
}

// Command is a command line of the program.
func (e Env) Command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	return e.command(t, Path(t), args)
}

func (e Env) command(t testing.TB, path string, args []string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = e.variables()
	return cmd
}

// RunChecked is [Env.Run] with the race detector, as [CheckedPath] has it.
func (e Env) RunChecked(t testing.TB, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return RunCommand(t, e.command(t, CheckedPath(t), args))
}

// Run runs a command line to its end and returns its exit code and what it
// wrote.
func (e Env) Run(t testing.TB, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return RunCommand(t, e.Command(t, args...))
}

// MustRun is [Env.Run] for a command line that has to succeed; it returns what
// that wrote to stdout.
func (e Env) MustRun(t testing.TB, args ...string) string {
	t.Helper()
	code, out, errs := e.Run(t, args...)
	if code != 0 {
		t.Fatalf("streamkeeper %s: exit %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// RunCommand is [Env.Run] for a command that was prepared.
func RunCommand(t testing.TB, cmd *exec.Cmd) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	noRace(t, cmd, errs.String())
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// noRace fails a test in which the race detector has found something.
func noRace(t testing.TB, cmd *exec.Cmd, said string) {
	t.Helper()
	if strings.Contains(said, "WARNING: DATA RACE") {
		t.Errorf("%s:\n%s", cmd, said)
	}
}
