package doctor

import "github.com/streamkeeper/streamkeeper/internal/human"

// instances asks whether those that share a state work on the same.
func instances() Check {
	return Check{
		ID: "instances", Group: Ourselves, Glance: true,
		needs:  []fact{factInstances},
		Rule:   "Instances that share a STATE_PREFIX work on the same keys, patterns and database.",
		Source: fromOurs,
		Noun:   "instance", Found: "with one STATE_PREFIX and different work",
		Remedy: "Give each installation a STATE_PREFIX of its own, or the same STREAMS_INCLUDE, STREAMS_EXCLUDE and key names.",
		server: func(s *Server, o *outcome) {
			works := make(map[string]string)
			for _, i := range s.Instances {
				works[i.Work] = i.Name
			}
			switch {
			case len(works) > 1:
				for _, i := range s.Instances {
					o.found(Error, i.Name, "works on "+i.Work)
				}
			case len(s.Instances) == 0:
				o.says(OK, "no daemon has noted itself")
			default:
				o.says(OK, "%s at work", human.Plural(len(s.Instances), "instance"))
			}
		},
	}
}
