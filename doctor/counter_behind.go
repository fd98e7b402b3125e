package doctor

import (
	"strconv"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// counterBehind asks whether the next id is free.
func counterBehind() Check {
	return Check{
		ID: "counter-behind", Group: Counter,
		needs:  []fact{factCounter, factSessions},
		Rule:   buffer.CounterKey + " is not below the largest streamSessionId in use: the next session would get an id that is taken.",
		Source: fromStreaming,
		Remedy: "Raise it by INCRBY, by the difference and some more. It falls behind when Redis loses its last writes, or when a producer makes ids of its own.",
		Good:   "the next id is free",
		buffer: func(b *Buffer, o *outcome) {
			counter, err := strconv.ParseInt(b.Counter, 10, 64)
			switch {
			case b.CounterIsOther || b.HasCounter && err != nil || !b.HasID: // counter-number says so
			case !b.HasCounter:
				o.says(Error, "%s is missing, and session %s has the id %d: the next session gets 1", buffer.CounterKey, quote(b.LargestOf), b.LargestID)
			case counter < 0 || uint64(counter) < b.LargestID:
				o.says(Error, "%s is %d, and session %s has the id %d: a coming session gets an id that is taken",
					buffer.CounterKey, counter, quote(b.LargestOf), b.LargestID)
			}
		},
	}
}
