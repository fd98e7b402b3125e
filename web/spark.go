package web

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// spark is a history as two lines in a box 16 high: the length from nothing up
// to its most, and bars from the ground for what was removed.
type spark struct {
	// Length and Removed are data of SVG paths, short ones, as a page has many; Removed
	// is empty if nothing was.
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
	levels := make([]int64, len(h.Entries))
	removed := int64(0)
	for i, n := range h.Entries {
		levels[i] = height(n, most)
		if i > 0 { // what went before the first reading is of another time
			removed += h.Removed[i]
		}
	}
	title := fmt.Sprintf("%s to %s, %s removed", count(least), count(most), count(removed))
	s := &spark{Length: lineOf(levels), Width: len(h.Entries) - 1, Title: title}
	if removed > 0 {
		s.Removed = barsOf(h.Removed[1:])
	}
	return s
}

// lineOf goes from each level to the next.
func lineOf(levels []int64) string {
	path := fmt.Appendf(nil, "M0 %d", sparkHeight-levels[0])
	flat := 0
	level := levels[0]
	for _, next := range append(slices.Clone(levels[1:]), -1) {
		if next == level {
			flat++
			continue
		}
		if flat > 0 {
			path = strconv.AppendInt(append(path, 'h'), int64(flat), 10)
			flat = 0
		}
		if next < 0 { // the end
			break
		}
		path = fmt.Appendf(path, "l1 %d", level-next)
		level = next
	}
	return strings.ReplaceAll(string(path), " -", "-")
}

// barsOf is the outline of bars, one for two readings.
func barsOf(removed []int64) string {
	var sums []int64
	for pair := range slices.Chunk(removed, 2) {
		sums = append(sums, pair[0]+pair[len(pair)-1]*int64(len(pair)-1))
	}
	highest := slices.Max(sums)
	path := fmt.Appendf(nil, "M0 %d", sparkHeight)
	at, wide, level := 0, 0, int64(0)
	for _, n := range append(sums, 0) {
		next := height(n, highest)
		if n > 0 {
			next = max(1, next)
		}
		if next != level {
			if wide > 0 {
				path = strconv.AppendInt(append(path, 'h'), int64(wide), 10)
			}
			path = strconv.AppendInt(append(path, 'v'), level-next, 10)
			level, wide = next, 0
		}
		step := min(2, len(removed)-at)
		at, wide = at+step, wide+step
	}
	return string(path)
}

// height is a value as a part of the box.
func height(n, most int64) int64 {
	if most <= 0 {
		return 0
	}
	return int64(sparkHeight*float64(n)/float64(most) + 0.5)
}
