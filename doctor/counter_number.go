package doctor

import (
	"strconv"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// counterNumber asks whether producers can count on.
func counterNumber() Check {
	return Check{
		ID: "counter-number", Group: Counter,
		needs:  []fact{factCounter},
		Rule:   buffer.CounterKey + " is a String with a whole number: producers INCRBY it for the id of a session.",
		Source: fromStreaming,
		Remedy: "Set it by hand to the largest streamSessionId in use, at a time when no session begins: SET " + buffer.CounterKey + " <number>.",
		buffer: func(b *Buffer, o *outcome) {
			_, err := strconv.ParseInt(b.Counter, 10, 64)
			switch {
			case b.CounterIsOther:
				o.says(Error, "%s is no String", buffer.CounterKey)
			case !b.HasCounter:
				o.says(OK, "there is no counter yet")
			case err != nil:
				o.says(Error, "%s is %s, no whole number: the next session gets no id", buffer.CounterKey, quote(b.Counter))
			default:
				o.says(OK, "%s is %s", buffer.CounterKey, b.Counter)
			}
		},
	}
}
