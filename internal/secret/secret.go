// Package secret reads files that hold a secret, and others of the configuration.
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
// part of it.
func Read(path string) (string, error) {
	content, err := File(path, MaxSize)
	return strings.TrimRight(string(content), "\r\n"), err
}

// File reads a file of at most so many bytes. A pipe would block for ever and can
// be read once only, and a device may never end: neither is opened for good.
func File(path string, most int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	case info.Size() > most:
		return nil, fmt.Errorf("%s has %d bytes, and may have %d", path, info.Size(), most)
	}
	return io.ReadAll(io.LimitReader(f, most))
}
