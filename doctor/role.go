package doctor

// role asks whether the server takes writes.
func role() Check {
	return Check{
		ID: "role", Group: Connection, Glance: true,
		Rule:   "REDIS_URL names a master: what a replica holds is of the past, and it takes no writes.",
		Source: fromOurs,
		Remedy: "Name the master in REDIS_URL, or the Sentinels (?master_name=…), which know it.",
		server: func(s *Server, o *outcome) {
			if s.Role == "" {
				o.says(Advice, "not known: the server does not say what it is")
				return
			}
			if s.Role != "master" {
				o.says(Error, "the server is a %s", s.Role)
				return
			}
			o.says(OK, "the server is a master")
		},
	}
}
