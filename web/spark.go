package web

import (
	"fmt"
	"slices"
	"strconv"
)

// spark is a history as two lines in a box 16 high: the length from nothing up
// to its most, and a bar from the ground for what was removed.
type spark struct {
	// Length and Removed are data of SVG paths; Removed is empty if nothing was.
	Length, Removed string
	Width           int
	// Title says in words what is to be seen.
	Title string
}

const sparkHeight = 16

// newSpark draws a history; nil if there is not enough of it for a line.
func newSpark(h *History) *spark {
	if h == nil || len(h.Entries) < 2 || len(h.Removed) != len(h.Entries) {
		return nil
	}
	least, most := slices.Min(h.Entries), slices.Max(h.Entries)
	removed, highest := int64(0), slices.Max(h.Removed)
	var line, bars []byte
	for i, n := range h.Entries {
		command := byte('L')
		if i == 0 {
			command = 'M'
		}
		line = strconv.AppendInt(append(line, command), int64(i), 10)
		line = strconv.AppendInt(append(line, ' '), sparkHeight-height(n, most), 10)
		removed += h.Removed[i]
		if h.Removed[i] > 0 {
			bars = fmt.Appendf(bars, "M%d %dv-%d", i, sparkHeight, max(1, height(h.Removed[i], highest)))
		}
	}
	title := fmt.Sprintf("%d readings: length %s to %s, %s removed", len(h.Entries), count(least), count(most), count(removed))
	return &spark{Length: string(line), Removed: string(bars), Width: len(h.Entries) - 1, Title: title}
}

// height is a value as a part of the box.
func height(n, most int64) int64 {
	if most <= 0 {
		return 0
	}
	return int64(sparkHeight*float64(n)/float64(most) + 0.5)
}
