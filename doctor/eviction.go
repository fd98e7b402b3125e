package doctor

import "strings"

// eviction asks whether Redis removes streams or sessions by itself.
func eviction() Check {
	return Check{
		ID: "eviction", Group: Redis, Glance: true,
		needs:  []fact{factNodes},
		Rule:   "maxmemory-policy is noeviction: any other removes whole streams, or sessions, that are in use.",
		Source: fromRedis,
		Remedy: "CONFIG SET maxmemory-policy noeviction, and in redis.conf.",
		server: func(s *Server, o *outcome) {
			for _, n := range s.Nodes {
				switch {
				case strings.HasPrefix(n.Policy, "allkeys-"):
					o.says(Error, "%s removes whole streams when memory is short%s", n.Policy, of(n.Node))
				case strings.HasPrefix(n.Policy, "volatile-"):
					o.says(Warning, "%s removes sessions that have a time to live when memory is short%s", n.Policy, of(n.Node))
				}
			}
			if o.text == "" {
				o.says(OK, "nothing is evicted")
			}
		},
	}
}
