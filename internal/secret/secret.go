// Package secret reads files that hold a secret.
package secret

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// MaxSize is far beyond any password.
const MaxSize = 64 << 10

// Read reads a file that is to hold a secret; the newline that editors add is not
// part of it. A pipe would block for ever and can be read once only, and a device
// may never end: neither is opened for good.
func Read(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a regular file", path)
	case info.Size() > MaxSize:
		return "", fmt.Errorf("%s has %d bytes, which is too long for a password", path, info.Size())
	}
	content, err := io.ReadAll(io.LimitReader(f, MaxSize))
	return strings.TrimRight(string(content), "\r\n"), err
}
