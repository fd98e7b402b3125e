package program

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// own is a folder for the programs that the tests of this package run.
var own = sync.OnceValues(func() (string, error) {
	shared, err := sharedFolder()
	if err != nil {
		return "", err
	}
	return os.MkdirTemp(shared, "run")
})

// sharedFolder is where the packages that run the program build it, one after the
// other: go build finds it current after the first.
func sharedFolder() (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, ".tools", "test")
	return dir, os.MkdirAll(dir, 0o700)
}

// build builds the program in a folder of its kind, so that it has its own name, and
// returns a second name of it, under which it stays the same while these tests run.
func build(kind string, flags ...string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	if err := noticeSources(root); err != nil {
		return "", err
	}
	shared, err := sharedFolder()
	if err != nil {
		return "", err
	}
	to, err := own()
	if err != nil {
		return "", err
	}
	unlock, err := lock(filepath.Join(shared, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	path := filepath.Join(shared, kind, "streamkeeper")
	// Without what only a debugger reads it is linked in half the time.
	build := exec.Command("go", append(append([]string{"build", "-ldflags=-w", "-o", path}, flags...), ".")...)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building streamkeeper: %w\n%s", err, out)
	}
	if err := os.Mkdir(filepath.Join(to, kind), 0o700); err != nil {
		return "", err
	}
	mine := filepath.Join(to, kind, "streamkeeper")
	return mine, os.Link(path, mine)
}

// lock waits until no other process holds a file, and holds it.
func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", path, err), file.Close())
	}
	return func() { _ = file.Close() }, nil
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
