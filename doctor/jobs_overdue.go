package doctor

import (
	"slices"
	"strings"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/escape"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// jobsOverdue asks whether the jobs of the instance that leads go well.
func jobsOverdue() Check {
	return Check{
		ID: "jobs-overdue", Group: Ourselves, Glance: true,
		needs:  []fact{factTime, factInstances},
		Rule:   "Each job of the instance that leads has gone well within its last three scheduled times.",
		Source: fromOurs,
		Remedy: "See the last error of the job on the status page, or in the log.",
		Noun:   "job", Found: "without success for too long",
		server: func(s *Server, o *outcome) {
			var well []string
			for _, i := range s.Instances {
				if !i.Leads {
					continue
				}
				for _, j := range i.Jobs {
					when := "not noted yet" // notes are up to a minute old
					if j.Overdue {
						when = "never"
					}
					if !j.LastSuccess.IsZero() {
						when = human.Duration(s.Now.Sub(j.LastSuccess)) + " ago"
					}
					if j.Overdue {
						o.found(Warning, j.Name, "at "+escape.Name(i.Name)+", last success "+when)
					} else {
						well = append(well, j.Name+" "+when)
					}
				}
			}
			switch {
			case len(well) > 0:
				o.says(OK, "last success: %s", strings.Join(well, ", "))
			case len(s.Instances) == 0:
				o.says(OK, "no daemon has noted itself")
			case !slices.ContainsFunc(s.Instances, func(i buffer.Instance) bool { return i.Leads }):
				o.says(OK, "not known: no instance leads")
			default:
				o.says(OK, "not known: the instance that leads has noted no job")
			}
		},
	}
}
