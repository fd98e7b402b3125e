package sweep

import (
	"cmp"
	"slices"
	"time"
)

// Sizes of a slice, in bytes that one call frees: the time that a call blocks
// Redis goes with them, and hardly with the number of entries.
const (
	firstSlice = 256 << 10
	minSlice   = 32 << 10
	// mostPerStall is what a call may free for each millisecond that it may
	// block Redis. Most calls of that size take a tenth of it; the allocator
	// makes one in a hundred take it all, too seldom to be learnt in time.
	mostPerStall = 11 << 15
	// batchSlices is how many slices a batch of calls on several streams frees at
	// most: a round trip costs more than such a slice, and what the allocator now
	// and then adds comes as often as bytes are freed, however they are grouped. It
	// is half of that until calls have told what they cost.
	batchSlices = 8
)

// DefaultMaxStall is how long one call may block Redis.
const DefaultMaxStall = time.Millisecond

// pace finds how much one call may free so that it stays well under the
// longest stall that is allowed. It begins small, and grows while calls are
// quick. What a call takes on the way to Redis and back is not Redis's time,
// so the quickest call of late is taken off; and as other programs can only
// make a call seem slower, the middle one of a few calls is believed.
type pace struct {
	stall time.Duration
	slice int64
	// trip is the quickest call of this run and the one before, and recent of this one:
	// what is behind the address, and the way to it, may become slower.
	trip, recent time.Duration
	// cost is what calls took of late, in nanoseconds a byte; 0 if none has told.
	cost float64
	// costs are the last calls'; so many are known.
	costs [paceWindow]float64
	known int
}

// paceWindow is how many calls are looked at together.
const paceWindow = 5

func newPace(stall time.Duration) pace {
	p := pace{stall: stall, slice: firstSlice, trip: longTrip, recent: longTrip}
	p.slice = min(firstSlice, p.most())
	return p
}

// slowest is the most careful of the paces that workers learnt.
func slowest(paces []pace) pace {
	return slices.MinFunc(paces, func(a, b pace) int {
		return cmp.Or(cmp.Compare(a.slice, b.slice), cmp.Compare(b.cost, a.cost))
	})
}

// most is the largest slice, in bytes.
func (p *pace) most() int64 {
	return max(minSlice, int64(p.stall.Seconds()*1000*mostPerStall))
}

// longTrip is longer than any call takes.
const longTrip = time.Hour

// begin begins a run.
func (p *pace) begin() { p.trip, p.recent = p.recent, longTrip }

// trips tells the pace how long a call took that removed nothing.
func (p *pace) trips(took time.Duration) { p.trip, p.recent = min(p.trip, took), min(p.recent, took) }

// took tells the pace how long a call took that freed about so many bytes.
func (p *pace) took(took time.Duration, freed int64) {
	p.trips(took)
	if freed < p.slice/4 {
		return // it says more about the way than about Redis
	}
	p.costs[p.known] = float64(took-p.trip) / float64(freed)
	if p.known++; p.known < paceWindow {
		return
	}
	slices.Sort(p.costs[:])
	p.cost = max(p.costs[paceWindow/2], 1e-9)
	p.known = 0
	fits := float64(p.stall) * 0.4 / p.cost
	p.slice = int64(min(max(fits, float64(p.slice)/2), float64(p.slice)*2))
	p.slice = max(minSlice, min(p.slice, p.most()))
}

// batch is how many bytes a batch of calls may free: by what is known, together
// they block Redis no longer than one call may, or free a slice.
func (p *pace) batch() int64 {
	if p.cost == 0 {
		return batchSlices / 2 * p.slice
	}
	return int64(min(batchSlices*float64(p.slice), max(float64(p.slice), float64(p.stall)/p.cost)))
}

// entries is the slice as a number of entries of the given size, never less
// than two macro nodes: the server stops before a node that does not fit, and
// with room for only one it could not be told whether more would go.
func (p *pace) entries(entryBytes, nodeEntries int64) int64 {
	return max(p.slice/entryBytes, 2*nodeEntries)
}

// calls adapts how many calls go into one pipeline, of which most are expected
// to find nothing, to how long the last one took.
func (p *pace) calls(n, least, most int, took time.Duration) int {
	switch busy := took - min(took, p.trip); {
	case busy < p.stall/2:
		return min(most, n*2)
	case busy > p.stall:
		return max(least, n/2)
	}
	return n
}

// adapt adapts an exact slice to how long the last one took: it frees next to
// nothing, and has to pass over what earlier ones removed from the same node.
func (s *step) adapt(took time.Duration, p pace) {
	switch busy := took - min(took, p.trip); {
	case busy > p.stall/2:
		s.exactSlice = max(fewEntries/10, s.exactSlice/2)
	case busy < p.stall/8:
		s.exactSlice = min(maxExact, 2*s.exactSlice)
	}
}

// maxExact is how many entries of a macro node one call removes at most.
const maxExact = 2000
