// Package program builds streamkeeper and runs it as a process of its own, for
// tests of the whole program.
package program

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/streamkeeper/streamkeeper/internal/settings"
)

// Path is where the program lies, which the first call builds, with the race
// detector if the tests have it. A package whose tests call it has a TestMain that
// is [Main].
func Path(t testing.TB) string {
	t.Helper()
	return pathOf(t, built)
}

// pathFor is where the program lies that a command line is given to. With the race
// detector it takes four times as long to begin: what only answers, from packages
// whose own tests have the detector, does without.
func pathFor(t testing.TB, args []string) string {
	t.Helper()
	if len(args) > 0 && slices.Contains(working, args[0]) {
		return Path(t)
	}
	return pathOf(t, builtPlain)
}

// working are the commands that remove something or have much going on at once.
var working = []string{"run", "once", "undo", "demo", "inspect"}

func pathOf(t testing.TB, built func() (string, error)) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// dir holds the program as long as the tests run.
var dir = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "streamkeeper") })

var built = sync.OnceValues(func() (string, error) {
	if raceDetector {
		return build("checked", "-race")
	}
	return builtPlain()
})

var builtPlain = sync.OnceValues(func() (string, error) { return build("plain") })

// build builds the program in a folder of its own, so that it has its own name.
func build(folder string, flags ...string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	if err := noticeSources(root); err != nil {
		return "", err
	}
	to, err := dir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(to, folder, "streamkeeper")
	build := exec.Command("go", append(append([]string{"build", "-o", path}, flags...), ".")...)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building streamkeeper: %w\n%s", err, out)
	}
	return path, nil
}

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
	if dir, err := dir(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// Root is the folder of go.mod.
func Root() (string, error) {
	at, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; at != filepath.Dir(at); at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			return at, nil
		}
	}
	return "", errors.New("there is no go.mod above")
}

// noticeSources looks at every file that the program is built from, so that go
// test does not take a result from its cache after one has changed: it knows
// nothing of what a test builds.
func noticeSources(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case d.IsDir():
			if path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "tools" || name == "bench" || name == "docs" || name == "helm") {
				return filepath.SkipDir
			}
			return nil
		case strings.HasSuffix(name, "_test.go"):
			return nil
		}
		_, err = os.Stat(path)
		return err
	})
}

// Env are the settings in the environment of the program, by their names without
// the prefix. Nothing of the test's own environment is passed on.
type Env map[string]string

// variables are those that the program sees.
func (e Env) variables() []string {
	all := []string{"PATH=" + os.Getenv("PATH")}
	for name, value := range e {
		all = append(all, settings.Prefix+"_"+name+"="+value)
	}
	return all
}

// Command is a command line of the program.
func (e Env) Command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), pathFor(t, args), args...)
	cmd.Env = e.variables()
	return cmd
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
	if strings.Contains(errs.String(), "WARNING: DATA RACE") {
		t.Errorf("%s:\n%s", cmd, errs.String())
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}
