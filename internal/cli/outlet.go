package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// errUnread says that the reader of stdout took nothing after the command was
// told to end.
var errUnread = errors.New("nobody reads it")

// unreadPatience is how long a command that was told to end waits for the reader
// of its result.
const unreadPatience = 200 * time.Millisecond

// outlet is stdout. It remembers what could not be written, and
// a reader that takes nothing does not delay the end of a command.
type outlet struct {
	w    io.Writer
	done <-chan struct{}

	mu  sync.Mutex // held while writing, so that the order is kept
	err error      // the first
}

// newOutlet makes an outlet of a command that is told to end when ctx does.
func newOutlet(ctx context.Context, w io.Writer) *outlet { return &outlet{w: w, done: ctx.Done()} }

// Write implements [io.Writer]. After an error nothing is written any more: the
// write before may still be under way.
func (o *outlet) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return 0, o.err
	}
	written := make(chan error, 1)
	// The caller may use its bytes again before the last reader has come.
	text := bytes.Clone(p)
	go func() {
		_, err := o.w.Write(text)
		written <- err
	}()
	select {
	case o.err = <-written:
	case <-o.done:
		select {
		case o.err = <-written:
		case <-time.After(unreadPatience):
			o.err = errUnread
		}
	}
	if o.err != nil {
		return 0, o.err
	}
	return len(p), nil
}

// failure is why something could not be written, nil if all was.
func (o *outlet) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// file is the file behind a writer of ours, if there is one.
func file(w any) (*os.File, bool) {
	switch w := w.(type) {
	case *os.File:
		return w, true
	case *outlet:
		return file(w.w)
	case *messages:
		return file(w.w)
	}
	return nil, false
}
