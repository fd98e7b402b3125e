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
	since := time.Since(p.started)
	if !p.on || since < progressAfter {
		return
	}
	p.shown = true
	rate := int64(float64(entries) / since.Seconds())
	text := fmt.Sprintf("%s, %s removed, %s/s", plural(streams, "stream"), plural(entries, "entry"), human.Count(rate))
	if waiting > 0 {
		text += fmt.Sprintf(", %s with a backlog", human.Count(waiting))
	}
	_, _ = fmt.Fprintf(p.w, "\r\x1b[K%s", text)
}

// Done clears the line.
func (p *Progress) Done() {
	if p.shown {
		_, _ = fmt.Fprint(p.w, "\r\x1b[K")
	}
}
