package doctor

import (
	"fmt"

	"github.com/streamkeeper/streamkeeper/internal/human"
)

// database asks whether the buffer lies in another database of the server.
func database() Check {
	return Check{
		ID: "database", Group: Connection, Glance: true,
		needs:  []fact{factCount},
		Rule:   "The stream buffer lies in the database that REDIS_URL names.",
		Source: fromOurs,
		Remedy: "Name the database of the ingest processes in REDIS_URL (redis://host:6379/2), or their keys in STREAMS_KEY, STREAM_PREFIX and SESSIONS_KEY.",
		server: func(s *Server, o *outcome) {
			switch {
			case s.Streams > 0:
				o.says(OK, "%s, %s", s.where(), human.Plural(s.Streams, "stream"))
			case s.DatabasesError != nil:
				o.unknown(s.DatabasesError)
			case s.Databases != nil && s.Databases[s.Database] <= s.OwnKeys:
				o.says(Warning, "%s: %s", s.where(), s.Absence)
			default: // there may be sessions
				o.says(OK, "%s, 0 streams", s.where())
			}
		},
		buffer: func(b *Buffer, o *outcome) {
			s := b.Server
			switch {
			case o.severity != OK:
			case s.Streams > 0 && b.Totals.Streams == 0 && b.Narrowed:
				o.says(Warning, "%s, %s: STREAMS_INCLUDE and STREAMS_EXCLUDE leave none to streamkeeper", s.where(), human.Plural(s.Streams, "stream"))
				o.remedy = "Mend STREAMS_INCLUDE and STREAMS_EXCLUDE: streamkeeper config prints them."
			case s.Streams == 0 && b.SessionsError == nil && b.Totals.Sessions == 0:
				o.says(Warning, "%s: %s", s.where(), s.Absence)
			}
		},
	}
}

// where names the server.
func (s *Server) where() string {
	return fmt.Sprintf("%s, %s %s, %s", s.Target, s.Name, s.Version, s.Mode)
}
