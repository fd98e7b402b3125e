package redisconn

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

// maxSecret is far beyond any password.
const maxSecret = 64 << 10

// readSecret reads a file that is to hold a password. A pipe would block for ever
// and can be read once only, and a device may never end: neither is opened for
// good.
func readSecret(path string) (string, error) {
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
	case info.Size() > maxSecret:
		return "", fmt.Errorf("%s has %d bytes, which is too long for a password", path, info.Size())
	}
	content, err := io.ReadAll(io.LimitReader(f, maxSecret))
	return string(content), err
}
