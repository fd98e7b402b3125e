package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/streamkeeper/streamkeeper/internal/escape"
)

// Screen is a terminal that tables are fitted to.
type Screen struct {
	io.Writer
	// Width is in columns, 0 for as wide as need be.
	Width int
	// Colour marks what went well, what needs a look, and what failed.
	Colour bool
}

// gap stands between two columns.
const gap = 2

// leastWrapped is how narrow the last column may become.
const leastWrapped = 20

// colours of words that say how something went, where they are a whole cell.
var colours = map[string]string{
	"ok": "32", "warn": "33", "stopped": "33", "failed": "31", "invalid": "31",
}

// writeTable writes rows in columns, of which the first row is the heading. On a
// screen the last column is wrapped at its edge.
func writeTable(w io.Writer, rows [][]string) error {
	screen, _ := w.(Screen)
	widths := columnWidths(rows)
	var b strings.Builder
	for _, row := range rows {
		screen.writeRow(&b, row, widths)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	return nil
}

// columnWidths are those of all columns but the last of each row, which may be as
// long as it likes.
func columnWidths(rows [][]string) []int {
	var widths []int
	for _, row := range rows {
		for i, cell := range row[:len(row)-1] {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], escape.Width(cell))
		}
	}
	return widths
}

func (s Screen) writeRow(b *strings.Builder, row []string, widths []int) {
	indent := 0
	for i, cell := range row[:len(row)-1] {
		s.writeCell(b, cell)
		b.WriteString(strings.Repeat(" ", widths[i]-escape.Width(cell)+gap))
		indent += widths[i] + gap
	}
	last := row[len(row)-1]
	room := s.Width - indent
	if s.Width == 0 || escape.Width(last) <= room {
		s.writeCell(b, last)
		b.WriteByte('\n')
		return
	}
	if room < leastWrapped {
		b.WriteByte('\n')
		indent = 4
		b.WriteString(strings.Repeat(" ", indent))
		room = max(leastWrapped, s.Width-indent)
	}
	for i, line := range wrap(last, room) {
		if i > 0 {
			b.WriteString(strings.Repeat(" ", indent))
		}
		b.WriteString(line + "\n")
	}
}

func (s Screen) writeCell(b *strings.Builder, cell string) {
	colour := colours[cell]
	if !s.Colour || colour == "" {
		b.WriteString(cell)
		return
	}
	b.WriteString("\x1b[" + colour + "m" + cell + "\x1b[0m")
}

// fitting is the beginning of a text that takes at most so many columns, but one
// character at least.
func fitting(text string, columns int) string {
	for i, r := range text {
		if columns -= escape.RuneWidth(r); columns < 0 && i > 0 {
			return text[:i]
		}
	}
	return text
}

// words are what a line may end with: a number like 12 000 is one.
func words(text string) (all []string) {
	isDigits := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	for word := range strings.FieldsSeq(text) {
		last := len(all) - 1
		if last >= 0 && len(strings.TrimRight(word, ",.;:)")) == 3 && isDigits(word[:3]) && isDigits(all[last][len(all[last])-1:]) {
			all[last] += " " + word
		} else {
			all = append(all, word)
		}
	}
	return all
}

// wrap breaks a text at spaces into lines of at most so many columns, and words
// that are longer anywhere.
func wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range words(text) {
		for escape.Width(word) > width {
			if line != "" {
				lines, line = append(lines, line), ""
			}
			begin := fitting(word, width)
			lines, word = append(lines, begin), word[len(begin):]
		}
		switch {
		case line == "":
			line = word
		case escape.Width(line)+1+escape.Width(word) > width:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}
