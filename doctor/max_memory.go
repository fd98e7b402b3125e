package doctor

import "github.com/streamkeeper/streamkeeper/internal/human"

// maxMemory asks whether Redis has a limit.
func maxMemory() Check {
	return Check{
		ID: "maxmemory", Group: Redis, Glance: true,
		needs:  []fact{factNodes},
		Rule:   "Redis has a maxmemory: without one the system ends Redis when the machine's memory is full, and all that is buffered is gone.",
		Source: fromRedis,
		Remedy: "CONFIG SET maxmemory, and in redis.conf: about three quarters of what the machine or the container has.",
		server: func(s *Server, o *outcome) {
			least := int64(0)
			for _, n := range s.Nodes {
				if n.Limit == 0 {
					o.says(Warning, "maxmemory is not set%s", of(n.Node))
					return
				}
				if least == 0 || n.Limit < least {
					least = n.Limit
				}
			}
			o.says(OK, "maxmemory is %s", human.Bytes(least))
		},
	}
}

// of names a node of a cluster.
func of(node string) string {
	if node == "" {
		return ""
	}
	return " on " + node
}
