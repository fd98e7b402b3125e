package doctor

import (
	"fmt"
	"slices"

	"github.com/streamkeeper/streamkeeper/internal/human"
)

// database asks whether the buffer lies in another database of the server.
func database() Check {
	return Check{
		ID: "database", Group: Connection, Glance: true,
		Rule:   "The stream buffer lies in the database that REDIS_URL names.",
		Source: fromOurs,
		Remedy: "Name the database of the ingest processes in REDIS_URL (redis://host:6379/2), or their keys in STREAMS_KEY, STREAM_PREFIX and SESSIONS_KEY.",
		server: func(s *Server, o *outcome) {
			where := fmt.Sprintf("%s, %s %s, %s", s.Target, s.Name, s.Version, s.Mode)
			var others []int
			for db, keys := range s.Databases {
				if db != s.Database && keys > 0 {
					others = append(others, db)
				}
			}
			slices.Sort(others)
			switch {
			case s.DatabasesError != nil:
				o.says(Advice, "%s; not known whether other databases have keys: %v", where, s.DatabasesError)
			case s.Streams == 0 && s.Databases[s.Database] == 0 && len(others) > 0:
				o.says(Warning, "%s: there is no key in this database, but in %v", where, others)
			default:
				o.says(OK, "%s, %s", where, human.Plural(s.Streams, "stream"))
			}
		},
	}
}
