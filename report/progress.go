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
	p.show(trimming(streams, entries, waiting, time.Since(p.started)))
}

// trimming says how far a trim is that began so long ago.
func trimming(streams, entries int64, waiting int, took time.Duration) string {
	rate := int64(float64(entries) / max(took.Seconds(), 0.001))
	text := fmt.Sprintf("%s, %s removed, %s/s", plural(streams, "stream"), plural(entries, "entry"), human.Count(rate))
	if waiting > 0 {
		text += fmt.Sprintf(", %s with a backlog", human.Count(waiting))
	}
	return text
}

func inspecting(streams, messages int64) string {
	return fmt.Sprintf("%s, %s", plural(streams, "stream"), plural(messages, "message"))
}

// Inspect shows the streams and messages looked at.
func (p *Progress) Inspect(streams, messages int64) {
	p.show(inspecting(streams, messages))
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
