package report

import (
	"fmt"
	"io"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/human"
)

// Progress shows on a terminal how far a long run is, on one line that it
// writes over. Anywhere else it is silent.
type Progress struct {
	w       io.Writer
	on      bool
	started time.Time
	shown   bool
}

// progressAfter is how long a run may take before it is worth a word.
const progressAfter = 500 * time.Millisecond

// NewProgress writes to w if on.
func NewProgress(w io.Writer, on bool) *Progress {
	return &Progress{w: w, on: on, started: time.Now()}
}

// Trim shows the streams looked at, the entries removed, and how many streams
// still have a backlog.
func (p *Progress) Trim(streams, entries int64, waiting int) {
	text := fmt.Sprintf("%s, %s removed, %s/s", plural(streams, "stream"), plural(entries, "entry"), human.Count(p.rate(entries)))
	if waiting > 0 {
		text += fmt.Sprintf(", %s with a backlog", human.Count(waiting))
	}
	p.show(text)
}

// Inspect shows the streams and messages looked at.
func (p *Progress) Inspect(streams, messages int64) {
	p.show(fmt.Sprintf("%s, %s", plural(streams, "stream"), plural(messages, "message")))
}

func (p *Progress) rate(n int64) int64 {
	return int64(float64(n) / max(time.Since(p.started).Seconds(), 0.001))
}

func (p *Progress) show(text string) {
	if !p.on || time.Since(p.started) < progressAfter {
		return
	}
	p.shown = true
	_, _ = fmt.Fprintf(p.w, "\r\x1b[K%s", text)
}

// Done clears the line.
func (p *Progress) Done() {
	if p.shown {
		_, _ = fmt.Fprint(p.w, "\r\x1b[K")
	}
}
