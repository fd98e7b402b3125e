package trim

import (
	"hash/maphash"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// DefaultVisitAll is how long a stream may go unvisited that does not grow.
const DefaultVisitAll = 10 * time.Minute

const (
	// restAfter is after how many such intervals a stream that grew counts no
	// longer as one that grows.
	restAfter = 3
	// maxGrowing is how many streams are visited without a walk of the set:
	// their names are remembered.
	maxGrowing = 1 << 16
	// maxFailures is how many runs in a row may find that the books do not
	// agree before none are kept for an interval: they cost something, too.
	maxFailures = 6
)

// whyAll is why a run visits every stream.
type whyAll string

const (
	notFollowed whyAll = "streams are not followed"
	notKnown    whyAll = "not known which grow"
	noClock     whyAll = "the clock cannot be trusted"
	longAgo     whyAll = "it is long ago"
	pausing     whyAll = "the books hardly ever agreed"
	uncountable whyAll = "not known what was appended"
	listChanged whyAll = "streams came or went"
	unexpected  whyAll = "streams grew by more than was appended"
	othersGrew  whyAll = "others grew"
)

// growth knows which streams grow, so that a run visits only those.
//
// It keeps books. The server counts what is appended to all streams; each visit
// of a stream that grows tells how much of that went there. While the two
// agree no other stream has grown, and one that did not grow has nothing to
// lose that it did not have before: by length never, by age only what a look
// ahead has found. Once they disagree every stream is visited, and those that
// grew are known. So a stream that wakes is visited in the very next run.
//
// The books are opened right before a walk of all streams: what one that rests
// gets after its turn in the walk is not accounted for, and brings on another.
type growth struct {
	// every is the interval at which all streams are visited anyway; 0 if they
	// are in each run.
	every time.Duration
	// all is when all streams were visited last, zero if the books are closed;
	// last is when they were looked into, or opened.
	all, last time.Time
	// streams is how many there were, and names how many the set held.
	streams, names int64
	// failures is for how many runs in a row the books did not agree, and idle
	// until when none are kept.
	failures int
	idle     time.Time

	// lengths are those of the streams that do not grow, by a hash of the name:
	// some fifteen bytes a stream. Two names with one hash may make one of them
	// look as if it grew.
	lengths map[uint32]uint32
	seed    maphash.Seed
	growing map[string]*grower
	// crowded: more streams grow than are remembered.
	crowded bool
	// walk is the number of the walk of all streams.
	walk int

	// since is what was appended when the books were opened, slack by how much
	// that may be too little, and explained what the visits found of it since;
	// seen is what was appended when they were looked into.
	since, seen      buffer.Appends
	slack, explained int64
}

// grower is a stream that is visited in each run.
type grower struct {
	length int64
	grew   time.Time
	walk   int // the last one that came upon it
}

// Growing is which streams may have become longer.
type Growing struct {
	// Since is when all streams were visited; none but those that follow has
	// grown from then until the last run. It is zero where that is not known.
	Since   time.Time
	Streams []string
}

// publish is what may be told.
func (g *growth) publish() *Growing {
	if g.all.IsZero() {
		return &Growing{}
	}
	return &Growing{g.all, g.due()}
}

func newGrowth(every time.Duration) *growth {
	return &growth{every: every, seed: maphash.MakeSeed(), lengths: make(map[uint32]uint32), growing: make(map[string]*grower)}
}

// follows reports whether streams may go unvisited at all.
func (g *growth) follows() bool { return g.every > 0 }

// stop has every stream visited from now on.
func (g *growth) stop() { *g = *newGrowth(0) }

// close makes the next run visit every stream.
func (g *growth) close() { g.all = time.Time{} }

// pause keeps no books for an interval, and forgets what they were about.
func (g *growth) pause(now time.Time) {
	g.close()
	g.failures, g.idle = 0, now.Add(g.every)
	clear(g.growing)
	clear(g.lengths)
}

// mustVisitAll says why a run at that time has to visit every stream; empty if
// it need not. It must if the next run, as long after this one as this one is
// after the last, would come too late.
func (g *growth) mustVisitAll(now time.Time) whyAll {
	switch {
	case !g.follows():
		return notFollowed
	case now.Before(g.idle) && g.idle.Sub(now) <= g.every: // the clock may be set back
		return pausing
	case g.all.IsZero():
		return notKnown
	case now.Sub(g.all)+now.Sub(g.last) > g.every, now.Before(g.all):
		return longAgo
	}
	return ""
}

// due are the streams that a run visits.
func (g *growth) due() []string { return slices.Sorted(maps.Keys(g.growing)) }

// has reports whether a stream is visited in each run.
func (g *growth) has(stream string) bool { return g.growing[stream] != nil }

// grows reports whether a stream grows.
func (g *growth) grows(stream string, now time.Time) bool {
	s := g.growing[stream]
	return s != nil && now.Sub(s.grew) < restAfter*g.every
}

// measured notes the length of a stream, as it was read just now.
func (g *growth) measured(stream string, length int64, now time.Time) {
	if s := g.growing[stream]; s != nil {
		if length > s.length {
			g.explained += length - s.length
			s.grew = now
		}
		s.length, s.walk = length, g.walk
		return
	}
	hash := g.hash(stream)
	before, known := g.lengths[hash]
	if known && length > int64(before) || !known && length > 0 && !g.all.IsZero() {
		g.remember(stream, grower{length, now, g.walk})
		return
	}
	g.lengths[hash] = clamp(length)
}

// removed notes that we made a stream shorter.
func (g *growth) removed(stream string, entries int64) {
	if s := g.growing[stream]; s != nil {
		s.length -= entries
		return
	}
	if before, known := g.lengths[g.hash(stream)]; known {
		g.lengths[g.hash(stream)] = clamp(int64(before) - entries)
	}
}

// keep has a stream of so many entries visited in each run although it does not
// grow: it may have something to lose soon.
func (g *growth) keep(stream string, length int64) {
	if !g.has(stream) {
		g.remember(stream, grower{length: length, walk: g.walk})
	}
}

func (g *growth) remember(stream string, s grower) {
	if len(g.growing) >= maxGrowing {
		g.crowded = true
		return
	}
	g.growing[stream] = &s
}

// rest has a stream visited only when all are.
func (g *growth) rest(stream string) {
	if s := g.growing[stream]; s != nil {
		delete(g.growing, stream)
		g.lengths[g.hash(stream)] = clamp(s.length)
	}
}

// open opens the books before a walk of all streams, with a census of those
// that are due.
func (g *growth) open(now time.Time, due []string, c buffer.Census) {
	g.take(due, c, now)
	g.walk++
	g.crowded = false
	g.names, g.since, g.seen, g.explained = c.Names, c.Before, c.After, 0
	g.slack, _ = c.After.Since(c.Before)
}

// walked ends a walk that came upon so many streams.
func (g *growth) walked(now time.Time, streams int64) {
	maps.DeleteFunc(g.growing, func(_ string, s *grower) bool { return s.walk != g.walk })
	g.all, g.last, g.streams = now, now, streams
	switch {
	case g.crowded:
		g.pause(now)
	case int64(len(g.lengths)) > 2*(streams+1024):
		// Most are of streams that are gone.
		clear(g.lengths)
		g.close()
	}
}

// settle compares the books with a census of the streams that are due, and says
// why all have to be visited after all, or nothing.
func (g *growth) settle(now time.Time, due []string, c buffer.Census) whyAll {
	why := g.compare(now, due, c)
	if why == "" {
		g.failures = 0
		return ""
	}
	if g.failures++; g.failures >= maxFailures {
		g.pause(now)
		return pausing
	}
	return why
}

func (g *growth) compare(now time.Time, due []string, c buffer.Census) whyAll {
	g.last = now
	g.take(due, c, now)
	appended, ok := c.After.Since(g.since)
	_, stillOK := c.After.Since(g.seen)
	g.seen = c.After
	meanwhile, _ := c.After.Since(c.Before)
	switch unexplained := appended - g.explained; {
	case !ok || !stillOK:
		return uncountable
	case c.Names != g.names:
		return listChanged
	case unexplained < 0:
		return unexpected
	case unexplained > meanwhile+g.slack:
		return othersGrew
	}
	return ""
}

// take notes the lengths in a census of the streams that are due.
func (g *growth) take(due []string, c buffer.Census, now time.Time) {
	for i, stream := range due {
		if c.Lengths[i].Err == nil {
			g.measured(stream, c.Lengths[i].Entries, now)
		}
	}
}

func (g *growth) hash(stream string) uint32 { return uint32(maphash.String(g.seed, stream)) }

func clamp(length int64) uint32 { return uint32(max(0, min(length, math.MaxUint32))) }
