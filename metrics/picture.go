package metrics

import "time"

// PictureTime is how far back the picture of a stream goes, a point a minute.
const PictureTime = 6 * time.Hour

const (
	pictureStep   = time.Minute
	picturePoints = int(PictureTime / pictureStep)
	// maxPictures is of how many streams a picture is kept: at most 16 MiB.
	maxPictures = 2000
)

// Point is what the last reading of a minute found of a stream.
type Point struct {
	// Minute began then.
	Minute time.Time
	// Entries in the stream and Bytes that they took, 0 if that was not known, and
	// Removed, how many were trimmed since the point before.
	Entries, Bytes, Removed int64
}

// picture is the last hours of a stream, the oldest point first. What it needs no
// more than seven digits for is kept so.
type picture struct {
	points []point
	// removed is how many entries had gone at the last reading in all.
	removed int64
	begun   bool
}

type point struct {
	minute                  uint32
	entries, bytes, removed float32
}

// add takes in a reading; removed counts what went so far, by reason.
func (p *picture) add(at time.Time, entries, bytes int64, removed []int64) {
	sum := int64(0)
	for _, n := range removed {
		sum += n
	}
	gone := sum - p.removed
	if p.removed = sum; !p.begun {
		gone, p.begun = 0, true
	}
	next := point{uint32(at.Unix() / int64(pictureStep/time.Second)), float32(entries), float32(bytes), float32(gone)}
	if n := len(p.points); n > 0 {
		switch last := p.points[n-1]; {
		case next.minute < last.minute:
			p.points = p.points[:0] // the clock was set back
		case next.minute == last.minute:
			next.removed += last.removed
			p.points[n-1] = next
			return
		}
	}
	first := 0
	for first < len(p.points) && (next.minute-p.points[first].minute >= uint32(picturePoints) || len(p.points)-first >= picturePoints) {
		first++
	}
	if first > 0 {
		p.points = p.points[:copy(p.points, p.points[first:])]
	}
	p.points = append(p.points, next)
}

func (p *picture) public() []Point {
	if p == nil {
		return nil
	}
	all := make([]Point, len(p.points))
	for i, q := range p.points {
		at := time.Unix(int64(q.minute)*int64(pictureStep/time.Second), 0).UTC()
		all[i] = Point{at, int64(q.entries), int64(q.bytes), int64(q.removed)}
	}
	return all
}

// Figures are what is known of a stream with a label of its own, and its picture;
// ok is false for another.
func (m *Metrics) Figures(stream string) (f StreamFigures, points []Point, ok bool) {
	t := m.streams
	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.own[stream]
	if !ok {
		return StreamFigures{}, nil, false
	}
	return s.public(Label(stream)), s.picture.public(), true
}

// Labelled reports, as of now, which streams have a label of their own.
func (m *Metrics) Labelled() func(stream string) bool { return m.streams.labelled() }
