package metrics

// HistoryLength is how many readings of a stream are remembered: a quarter of
// an hour at the usual METRICS_INTERVAL.
const HistoryLength = 30

// History is what a stream's last readings found, the oldest first, at most
// [HistoryLength] of them.
type History struct {
	// Entries at each reading, and how many had been removed since the one
	// before.
	Entries, Removed []int64
}

// history is a ring of readings.
type history struct {
	readings [HistoryLength]struct{ entries, removed int64 }
	count    int // of all readings ever
	// removed is how many entries had gone at the last reading in all.
	removed int64
}

// add takes in a reading; removed counts what went so far, by reason. What went
// before the first reading is not of any.
func (h *history) add(entries int64, removed []int64) {
	sum := int64(0)
	for _, n := range removed {
		sum += n
	}
	r := &h.readings[h.count%HistoryLength]
	r.entries, r.removed = entries, 0
	if h.count > 0 {
		r.removed = sum - h.removed
	}
	h.removed = sum
	h.count++
}

func (h *history) public() History {
	n := min(h.count, HistoryLength)
	out := History{Entries: make([]int64, n), Removed: make([]int64, n)}
	for i := range n {
		r := h.readings[(h.count-n+i)%HistoryLength]
		out.Entries[i], out.Removed[i] = r.entries, r.removed
	}
	return out
}
