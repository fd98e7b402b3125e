package cli

import (
	"io"

	"golang.org/x/term"

	"github.com/streamkeeper/streamkeeper/report"
)

// redraws reports whether what was written can be written over: on a terminal
// that is not a dumb one.
func (a *app) redraws(w io.Writer) bool { return isTerminal(w) && !a.DumbTerminal }

// live is a table in place on a terminal, and w as it is anywhere else.
func (a *app) live(w io.Writer) *report.Live {
	f, ok := file(w)
	if !ok || !a.redraws(w) {
		return report.NewLive(w, nil)
	}
	return report.NewLive(w, func() (width, height int) {
		width, height, err := term.GetSize(int(f.Fd()))
		if err != nil || width <= 0 || height <= 0 {
			return 80, 24
		}
		return width, height
	})
}
