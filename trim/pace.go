package trim

import "time"

// Sizes of a slice, in bytes that one call frees: the time that a call holds
// Redis up goes with them, and hardly with the number of entries.
const (
	firstSlice = 256 << 10
	minSlice   = 8 << 10
	maxSlice   = 4 << 20
)

// DefaultMaxStall is how long one call may hold up Redis.
const DefaultMaxStall = time.Millisecond

// pace finds how much one call may free so that it stays well under the
// longest stall that is allowed. It begins small and doubles while calls are
// quick. What a call takes on the way to Redis and back is not Redis's time,
// so the quickest call ever seen is taken off.
type pace struct {
	stall time.Duration
	slice int64
	trip  time.Duration
}

func newPace(stall time.Duration) *pace {
	return &pace{stall: stall, slice: firstSlice, trip: time.Hour}
}

// trips tells the pace how long a call took that removed nothing.
func (p *pace) trips(took time.Duration) { p.trip = min(p.trip, took) }

// took tells the pace how long a call took that freed about so many bytes.
func (p *pace) took(took time.Duration, freed int64) {
	p.trips(took)
	busy := took - p.trip
	switch {
	case busy > p.stall*6/10:
		p.slice = max(minSlice, p.slice/2)
	case busy < p.stall*3/10 && freed*2 >= p.slice:
		p.slice = min(maxSlice, p.slice*2)
	}
}

// entries is the slice as a number of entries of the given size, never less
// than two macro nodes: the server stops before a node that does not fit, and
// with room for only one it could not be told whether more would go.
func (p *pace) entries(entryBytes, nodeEntries int64) int64 {
	return max(p.slice/max(1, entryBytes), 2*nodeEntries)
}
