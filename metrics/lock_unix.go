//go:build !windows

package metrics

import (
	"errors"
	"os"
	"syscall"
)

// lockFolder lets one process at a time change the files of a folder, so that
// two jobs that end at once lose nothing of each other's. Where that cannot be
// had, the next run mends what was lost.
func lockFolder(path string) (unlock func()) {
	folder, err := os.Open(path)
	if err != nil {
		return func() {}
	}
	for {
		err := syscall.Flock(int(folder.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	return func() { _ = folder.Close() }
}
