package doctor

import (
	"strconv"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/human"
)

// rangeSlack is how much data may be newer than the last time range of a session
// that runs: it is not streamed with every message.
const rangeSlack = 10 * time.Second

// recordRange asks whether time ranges and data agree.
func recordRange() Check {
	return Check{
		ID: "record-range", Group: Sessions,
		Rule:   "The time range that is streamed last, and tStart and tEnd of the entry, span the data.",
		Source: fromStreaming,
		Remedy: "Stream the time range after the data that it spans, and write it to the entry; in nanoseconds, as the data.",
		Noun:   "fault", Found: "in the time ranges", Good: "time ranges span the data",
		recording: func(r *Recording, o *outcome) {
			if !r.HasData {
				return
			}
			if r.HasRange {
				r.compare("the last time range", r.RangeFrom, r.RangeTo, o)
			} else {
				o.found(Warning, "time range", "none was streamed")
			}
			start, end := r.Session.TimeRange()
			from, errStart := strconv.ParseInt(start.Value, 10, 64)
			to, errEnd := strconv.ParseInt(end.Value, 10, 64)
			if errStart == nil && errEnd == nil && rangeFault(r.Session) == "" {
				r.compare("tStart and tEnd", from, to, o)
			} else if !start.Set && !end.Set {
				o.found(Warning, "tStart and tEnd", "the entry has none")
			}
		},
	}
}

// compare holds a time range against the data.
func (r *Recording) compare(name string, from, to int64, o *outcome) {
	slack := int64(rangeSlack)
	if r.LastJSON.Closed() {
		slack = 0
	}
	switch {
	case r.From < from:
		o.found(Error, name, "begins "+human.Duration(time.Duration(from-r.From))+" after the first data")
	case r.To > to+slack:
		o.found(Error, name, "ends "+human.Duration(time.Duration(r.To-to))+" before the last data")
	}
}
