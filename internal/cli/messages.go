package cli

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/logsink"
)

// messages is stderr: a reader that takes nothing holds nobody up.
type messages struct {
	*logsink.Sink
	w io.Writer
}

func newMessages(w io.Writer) *messages { return &messages{logsink.New(w, logsink.DefaultLimit), w} }

// readPatience is how long a command that is done waits for somebody who reads
// its log, beyond each line that was taken.
const readPatience = 500 * time.Millisecond

// end gives a reader the time to read, and leaves. Once ctx has ended it leaves
// after the last words.
func (m *messages) end(ctx context.Context, lastWords time.Duration) {
	limit, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastWords, cancel) })()
	m.Drain(limit, readPatience)
	m.Close()
}

// logged has the log say how many lines were dropped, in the form of its
// handler.
func (m *messages) logged(handler func(io.Writer) slog.Handler) {
	m.Notice(func(lines int64) []byte {
		var line bytes.Buffer
		slog.New(handler(&line)).Warn("log lines dropped", "lines", lines)
		return line.Bytes()
	})
}
