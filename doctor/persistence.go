package doctor

// persistence asks whether Redis could save its data.
func persistence() Check {
	return Check{
		ID: "persistence", Group: Redis, Glance: true,
		needs:  []fact{factNodes},
		Rule:   "Redis can save its data: where that fails it may refuse every write (MISCONF).",
		Source: fromRedis,
		Remedy: "See Redis's log: mostly the disk is full, or its folder cannot be written to.",
		Good:   "saving data has not failed",
		server: func(s *Server, o *outcome) {
			for _, n := range s.Nodes {
				if n.Unsaved != "" {
					o.says(Error, "failed: %s%s", n.Unsaved, of(n.Node))
				}
			}
		},
	}
}
