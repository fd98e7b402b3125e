package doctor

import (
	"time"

	"github.com/streamkeeper/streamkeeper/internal/human"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// wrongClock is the difference of two clocks that makes ages wrong enough to
// be noticed.
const wrongClock = 10 * time.Second

// clock asks whether Redis's clock and ours agree.
func clock() Check {
	return Check{
		ID: "clock", Group: Connection, Glance: true,
		needs:  []fact{factTime},
		Rule:   "The clocks of Redis, of the ingest processes and of this machine agree: ids and lastUpdated are times.",
		Source: fromStreaming,
		Remedy: "Synchronize the clocks (NTP). Past an hour nothing is removed by age.",
		server: func(s *Server, o *outcome) {
			apart := s.Apart.Abs()
			switch text := human.Duration(apart); {
			case apart > redisconn.MaxClockDifference:
				o.says(Error, "this machine's clock and Redis's differ by %s", text)
			case apart > wrongClock:
				o.says(Warning, "this machine's clock and Redis's differ by %s", text)
			default:
				o.says(OK, "the clocks agree")
			}
		},
	}
}
