package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// FramesPerSecond bounds how often a [Live] table is drawn anew.
const FramesPerSecond = 5

// Size is that of a terminal, in characters.
type Size func() (width, height int)

// Live keeps a small table in place at the end of what a terminal shows, while
// lines go by above it. Where it is off, the lines are all there is.
//
// Each frame is one write, over the one before, and leaves the cursor visible
// below the table: whenever the program ends, the terminal is as it should be.
type Live struct {
	w    io.Writer
	size Size // nil where it is off

	mu    sync.Mutex
	rows  []string // the frame on the screen
	begun bool     // the last line above is not at its end

	stop, stopped chan struct{}
}

// What is sent to the terminal around the rows. Lines are cut off at its edge
// meanwhile, so that each is one row, however wide its characters are.
const (
	beginFrame = "\x1b[?25l\x1b[?7l"
	endFrame   = "\x1b[?7h\x1b[?25h"
	clearLine  = "\x1b[K"
	clearBelow = "\x1b[J"
)

// NewLive makes a table on a terminal of that size; a nil size, where w is no
// terminal, makes none.
func NewLive(w io.Writer, size Size) *Live { return &Live{w: w, size: size} }

// On reports whether there is a table at all.
func (l *Live) On() bool { return l.size != nil }

// Start draws the table from time to time until [Live.Done]. The rows are told
// how many characters wide they may be.
func (l *Live) Start(rows func(width int) []string) {
	if !l.On() {
		return
	}
	ticker := time.NewTicker(time.Second / FramesPerSecond)
	l.start(rows, ticker.C, ticker.Stop)
}

func (l *Live) start(rows func(width int) []string, ticks <-chan time.Time, release func()) {
	l.stop, l.stopped = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(l.stopped)
		defer release()
		for {
			select {
			case <-l.stop:
				return
			case <-ticks:
				width, height := l.size()
				l.draw(fit(rows(width-1), width-1, height-1))
			}
		}
	}()
}

// fit cuts rows to what the terminal has room for.
func fit(rows []string, width, height int) []string {
	rows = rows[:min(len(rows), max(0, height))]
	cutRows := make([]string, len(rows))
	for i, row := range rows {
		cutRows[i] = cut(row, max(1, width))
	}
	return cutRows
}

// draw puts rows where the ones before were.
func (l *Live) draw(rows []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.begun || strings.Join(rows, "\n") == strings.Join(l.rows, "\n") {
		return
	}
	_ = l.put(nil, rows)
}

// Write puts text above the table. It is to end with whole lines, sooner or
// later.
func (l *Live) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.On() || len(l.rows) == 0 {
		l.begun = len(text) > 0 && text[len(text)-1] != '\n'
		return l.w.Write(text)
	}
	rows := l.rows
	if l.begun = len(text) > 0 && text[len(text)-1] != '\n'; l.begun {
		rows = nil
	}
	if err := l.put(text, rows); err != nil {
		return 0, err
	}
	return len(text), nil
}

// put replaces the frame by text and another frame, in one write.
func (l *Live) put(text []byte, rows []string) error {
	var frame bytes.Buffer
	frame.WriteString(beginFrame)
	if n := len(l.rows); n > 0 {
		fmt.Fprintf(&frame, "\x1b[%dA\r", n)
	}
	if len(text) > 0 {
		// What goes by is not cut off, and may need more rows than there were.
		frame.WriteString(clearBelow + "\x1b[?7h")
		frame.Write(text)
		frame.WriteString("\x1b[?7l")
	}
	for _, row := range rows {
		frame.WriteString(row + clearLine + "\n")
	}
	frame.WriteString(clearBelow + endFrame)
	l.rows = rows
	_, err := l.w.Write(frame.Bytes())
	return err
}

// Done takes the table off the screen.
func (l *Live) Done() {
	if l.stop == nil {
		return
	}
	close(l.stop)
	<-l.stopped
	l.stop = nil
	l.draw(nil)
}
