package doctor

// encryption asks whether others can read what is sent.
func encryption() Check {
	return Check{
		ID: "encryption", Group: Connection, Glance: true,
		Rule:   "What leaves this machine, the password too, is encrypted, and the server proves who it is.",
		Source: fromOurs,
		Remedy: "Use rediss:// and REDIS_TLS_CA_FILE; without skip_verify.",
		server: func(s *Server, o *outcome) {
			switch t := s.Transport; {
			case t.Encrypted && t.Unverified:
				o.says(Warning, "TLS, but nobody checks the server's certificate (skip_verify)")
			case t.Encrypted:
				o.says(OK, "TLS")
			case t.Local:
				o.says(OK, "without TLS, within this machine")
			default:
				o.says(Advice, "without TLS: the password and the telemetry can be read on their way")
			}
		},
	}
}
