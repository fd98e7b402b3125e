package report

import (
	"fmt"
	"io"
	"time"
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

// Took is how long it has been.
func (p *Progress) Took() time.Duration { return time.Since(p.started) }

// Show says how far the run is.
func (p *Progress) Show(text string) {
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
