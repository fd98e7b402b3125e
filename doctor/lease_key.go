package doctor

import "github.com/streamkeeper/streamkeeper/internal/human"

// leaseKey asks whether the lease can be had.
func leaseKey() Check {
	return Check{
		ID: "lease", Group: Ourselves, Glance: true,
		needs:  []fact{factLease},
		Rule:   "The key of the lease is a String that ends by itself.",
		Source: fromOurs,
		Remedy: "Remove the key, or choose another STATE_PREFIX.",
		server: func(s *Server, o *outcome) {
			switch l := s.Lease; {
			case !s.Leases:
				o.says(OK, "no lease is used")
			case l.Type != "none" && l.Type != "string":
				o.says(Error, "the key of the lease is a %s: no instance can lead", l.Type)
			case l.Endless:
				o.says(Warning, "the lease would never end")
			case l.Type == "none" && s.InstancesError != nil:
				o.unknown(s.InstancesError)
			case l.Type == "none" && len(s.Instances) > 0:
				o.says(Warning, "%s at work, and none holds the lease", human.Plural(len(s.Instances), "instance"))
			case l.Type == "none":
				o.says(OK, "nobody holds the lease")
			default:
				o.says(OK, "an instance holds the lease")
			}
		},
	}
}
