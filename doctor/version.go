package doctor

import "github.com/streamkeeper/streamkeeper/internal/redisconn"

// version asks whether the server is one that we work with.
func version() Check {
	return Check{
		ID: "version", Group: Connection, Glance: true,
		Rule:   "Redis is version " + redisconn.MinVersion + " or later, or Valkey.",
		Source: fromOurs,
		Remedy: "Upgrade Redis.",
		server: func(s *Server, o *outcome) {
			if !s.AtLeast(6, 2) {
				o.says(Error, "%s %s is too old", s.Name, s.Version)
				return
			}
			o.says(OK, "%s %s is supported", s.Name, s.Version)
		},
	}
}
