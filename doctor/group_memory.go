package doctor

import (
	"fmt"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// muchPending is how many entries that are pending are worth a word.
const muchPending = 50_000

// pendingMemory is about what so many pending entries take.
func pendingMemory(pending int64) int64 { return buffer.GroupCounts{Pending: pending}.Memory() }

// groupMemory asks where consumer groups take memory.
func groupMemory() Check {
	return Check{
		ID: "group-memory", Group: Redis,
		needs:  []fact{factTime, factStreams},
		Rule:   "Consumers acknowledge what they were given: what is pending takes memory, after its entry has gone too.",
		Source: fromRedis,
		Remedy: "Let the consumers acknowledge (XACK), or XGROUP DESTROY a group that nobody needs. No limit of a stream counts this memory.",
		Noun:   "stream", Found: "in whose consumer groups much is pending",
		stream: func(s *Stream, o *outcome) {
			if s.Info.Groups.Pending >= muchPending {
				o.found(Advice, s.Name, fmt.Sprintf("%s, about %s", human.Plural(s.Info.Groups.Pending, "pending entry"), human.Bytes(pendingMemory(s.Info.Groups.Pending))))
			}
		},
		buffer: func(b *Buffer, o *outcome) {
			if o.count == 0 {
				o.says(OK, "%s in consumer groups, about %s", human.Plural(b.Totals.Pending, "pending entry"), human.Bytes(pendingMemory(b.Totals.Pending)))
			}
		},
	}
}
