package doctor

import (
	"time"

	"github.com/streamkeeper/streamkeeper/internal/human"
)

// slowTrip is a round trip of another region.
const slowTrip = 20 * time.Millisecond

// roundTrip asks how far away Redis is.
func roundTrip() Check {
	return Check{
		ID: "round-trip", Group: Connection, Glance: true,
		Rule:   "Redis is near: a run waits for some round trips a stream.",
		Source: fromOurs,
		Remedy: "Run streamkeeper in the network of Redis.",
		server: func(s *Server, o *outcome) {
			severity := OK
			if s.RoundTrip > slowTrip {
				severity = Warning
			}
			o.says(severity, "a round trip takes %s", human.Duration(s.RoundTrip))
		},
	}
}
