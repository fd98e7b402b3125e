package web

import (
	"fmt"
	"strconv"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/human"
)

// Point is what was read of a stream in a minute.
type Point struct {
	// Minute began then.
	Minute time.Time
	// Entries in the stream, Bytes that they took, 0 if not known, and Removed, how
	// many were trimmed since the point before.
	Entries, Bytes, Removed int64
}

// The box of a picture: a minute is one wide.
const (
	pictureMinutes = 360
	pictureHeight  = 100
)

// picture is a figure over the last hours, as paths of SVG in a box of 360 by 100.
type picture struct {
	Name string
	// Line is the figure, Removed bars from the ground, Limit and Grid straight lines.
	// All but Line may be empty.
	Line, Removed, Limit, Grid string
	// Says is in words what is to be seen, and Axis are times below it.
	Says string
	Axis []time.Time
}

// picturesOf draws the length and the memory of a stream; none where there are not
// two points.
func picturesOf(now time.Time, points []Point, s *Stream) (all []picture) {
	length := subject{"Length", func(p Point) int64 { return p.Entries }, human.Count[int64], s.Limit}
	memory := subject{"Memory", func(p Point) int64 { return p.Bytes }, human.Bytes, s.LimitBytes}
	if p := length.draw(now, points); p != nil {
		p.bars(now, points)
		all = append(all, *p)
	}
	if p := memory.draw(now, points); p != nil {
		all = append(all, *p)
	}
	return all
}

// subject is what a picture is of.
type subject struct {
	name  string
	of    func(Point) int64
	write func(int64) string
	limit int64
}

// at is how far from the left a minute is; negative outside the box.
func at(now, minute time.Time) int {
	return pictureMinutes - int(now.Truncate(time.Minute).Sub(minute)/time.Minute)
}

// draw draws the line; nil if there is not enough of it. A figure of 0 beside
// entries is not known.
func (s subject) draw(now time.Time, points []Point) *picture {
	var known []Point
	most, least := int64(0), int64(-1)
	for _, p := range points {
		n := s.of(p)
		if n == 0 && p.Entries > 0 || at(now, p.Minute) < 0 || at(now, p.Minute) > pictureMinutes {
			continue
		}
		known = append(known, p)
		most = max(most, n)
		if least < 0 || n < least {
			least = n
		}
	}
	if len(known) < 2 {
		return nil
	}
	// A limit far above would press the line to the ground.
	top := most
	if s.limit > 0 && s.limit <= 3*most {
		top = max(top, s.limit)
	}
	p := &picture{Name: s.name, Line: s.line(now, known, top), Grid: grid(now)}
	p.Says = fmt.Sprintf("%s to %s since %s UTC, now %s", s.write(least), s.write(most), known[0].Minute.UTC().Format("15:04"), s.write(s.of(known[len(known)-1])))
	if s.limit > 0 {
		p.Says += "; limit " + s.write(s.limit)
		if s.limit <= top {
			p.Limit = fmt.Sprintf("M0 %dh%d", pictureHeight-level(s.limit, top), pictureMinutes)
		}
	}
	for _, back := range []time.Duration{6 * time.Hour, 4 * time.Hour, 2 * time.Hour, 0} {
		p.Axis = append(p.Axis, now.Add(-back).UTC())
	}
	return p
}

// line breaks where readings are missing: where there is more between two than
// thrice what is between those that are next to each other.
func (s subject) line(now time.Time, known []Point, top int64) string {
	step := time.Duration(pictureMinutes) * time.Minute
	for i := range known[1:] {
		step = min(step, known[i+1].Minute.Sub(known[i].Minute))
	}
	var path []byte
	for i, p := range known {
		command := byte('L')
		if i == 0 || p.Minute.Sub(known[i-1].Minute) > max(3*step, 5*time.Minute) {
			command = 'M'
		}
		path = strconv.AppendInt(append(path, command), int64(at(now, p.Minute)), 10)
		path = strconv.AppendInt(append(path, ' '), pictureHeight-level(s.of(p), top), 10)
	}
	return string(path)
}

// bars says what was removed.
func (p *picture) bars(now time.Time, points []Point) {
	removed, most := int64(0), int64(0)
	for _, q := range points {
		removed, most = removed+q.Removed, max(most, q.Removed)
	}
	p.Says += "; " + count(removed) + " removed"
	var bars []byte
	for _, q := range points {
		if x := at(now, q.Minute); q.Removed > 0 && x >= 0 && x <= pictureMinutes {
			bars = fmt.Appendf(bars, "M%d %dv-%d", x, pictureHeight, max(1, level(q.Removed, most)/3))
		}
	}
	p.Removed = string(bars)
}

// grid is a line at each full hour.
func grid(now time.Time) string {
	var lines []byte
	for hour := now.Truncate(time.Hour); at(now, hour) > 0; hour = hour.Add(-time.Hour) {
		lines = fmt.Appendf(lines, "M%d 0v%d", at(now, hour), pictureHeight)
	}
	return string(lines)
}

// level is a value as a part of the height.
func level(n, most int64) int64 {
	if most <= 0 {
		return 0
	}
	return int64(pictureHeight*float64(n)/float64(most) + 0.5)
}
