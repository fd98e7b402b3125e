package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/streamkeeper/streamkeeper/burst"
)

// Stdin is the path that stands for standard input.
const Stdin = "-"

// CheckFiles judges payloads that lie in files: each is what the `data` field
// of one message would hold. No file makes a difference to another. A file
// that is longer than any allowed burst is too large whatever it holds, and is
// not read to its end. The error names each file that cannot be read; the
// others are judged all the same. Standard
// input is read once. Of the options only those of the check count.
func CheckFiles(ctx context.Context, o Options, paths []string, stdin io.Reader, visit func(Message)) (Report, error) {
	var report Report
	var failed []error
	j := newJudge(o)
	for i, path := range paths {
		if err := ctx.Err(); err != nil {
			return report, err
		}
		if path == Stdin && slices.Contains(paths[:i], Stdin) {
			continue
		}
		m, read, err := j.file(path, stdin)
		report.Bytes += read
		if err != nil {
			report.Errors++
			failed = append(failed, fmt.Errorf("reading a payload: %w", err))
			continue
		}
		report.count(m)
		visit(m)
	}
	return report, errors.Join(failed...)
}

// file judges one file, and says how much of it was read.
func (j *judge) file(path string, stdin io.Reader) (m Message, read int64, err error) {
	m.File = path
	if path == Stdin {
		read, err = j.reader(&m, stdin)
		return m, read, err
	}
	f, err := os.Open(path)
	if err != nil {
		return m, 0, err
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Size() > j.longest() {
		j.unread(&m, info.Size())
		return m, 0, nil
	}
	read, err = j.reader(&m, f)
	return m, read, err
}

// reader judges what a reader yields.
func (j *judge) reader(m *Message, from io.Reader) (read int64, err error) {
	// One byte more than is allowed tells what is longer.
	data, err := io.ReadAll(io.LimitReader(from, j.longest()+1))
	read = int64(len(data))
	switch {
	case err != nil:
		return read, err
	case read > j.longest():
		j.unread(m, read)
	default:
		j.payload(m, data, burst.Auto)
	}
	return read, nil
}
