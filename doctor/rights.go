package doctor

import (
	"strings"

	"github.com/streamkeeper/streamkeeper/internal/human"
)

// rights asks whether the Redis user may do all that is enabled.
func rights() Check {
	return Check{
		ID: "rights", Group: Connection, Glance: true,
		needs:  []fact{factRights},
		Rule:   "The Redis user may do what the enabled jobs need: streamkeeper acl prints the least rule.",
		Source: fromOurs,
		Remedy: "ACL SETUSER <user> with these words, or with all that streamkeeper acl prints; for doctor alone, streamkeeper acl --read-only. The rights of the jobs are judged by the user that doctor itself has.",
		Good:   "no right is missing",
		server: func(s *Server, o *outcome) {
			missing := strings.Join(s.MissingRights, " ")
			toRead := strings.Join(s.MissingToRead, " ")
			switch {
			case s.OnlyReads:
				o.says(Advice, "the Redis user may read and nothing else, as for a person who looks on; for the enabled jobs it lacks %s: %s",
					human.Plural(len(s.MissingRights), "right"), missing)
			case missing != "" && toRead != "":
				o.says(Error, "the Redis user lacks %s: %s; and for doctor alone: %s", human.Plural(len(s.MissingRights), "right"), missing, toRead)
			case missing != "":
				o.says(Error, "the Redis user lacks %s: %s", human.Plural(len(s.MissingRights), "right"), missing)
			case toRead != "":
				o.says(Advice, "the enabled jobs lack no right; for doctor alone the Redis user lacks: %s", toRead)
			}
		},
	}
}
