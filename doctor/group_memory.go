package doctor

import (
	"fmt"

	"github.com/streamkeeper/streamkeeper/internal/human"
)

// pendingBytes is about what an entry that is pending takes in Redis, in bytes, beside
// the entry itself: it stands in two trees. Redis 6.2 to 8.0 and Valkey differ by little.
const pendingBytes = 150

// muchPending is how many entries that are pending are worth a word.
const muchPending = 50_000

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
				o.found(Advice, s.Name, fmt.Sprintf("%s, about %s", human.Plural(s.Info.Groups.Pending, "pending entry"), human.Bytes(s.Info.Groups.Pending*pendingBytes)))
			}
		},
		buffer: func(b *Buffer, o *outcome) {
			if o.count == 0 {
				o.says(OK, "%s in consumer groups, about %s", human.Plural(b.Totals.Pending, "pending entry"), human.Bytes(b.Totals.Pending*pendingBytes))
			}
		},
	}
}
