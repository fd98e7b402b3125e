package jobs

import (
	"fmt"

	"github.com/streamkeeper/streamkeeper/internal/human"
)

// maxLimitSentences keeps the start line of the log readable.
const maxLimitSentences = 10

// Limits says in sentences what the enabled jobs that remove let stay.
func (o Options) Limits() (all []string) {
	if o.Trim.Enabled {
		all = o.Trim.Policies.Sentences()
		if more := len(all) - maxLimitSentences; more > 0 {
			all = append(all[:maxLimitSentences:maxLimitSentences], fmt.Sprintf("and %d rules more", more))
		}
	}
	if o.Cleanup.Enabled {
		l := o.Cleanup.Limits
		all = append(all, "sessions: expire after "+human.Duration(l.ExpireAfter))
		if l.AbandonAfter > 0 {
			all = append(all, "open sessions: marked abandoned after "+human.Duration(l.AbandonAfter))
		}
		all = append(all, "streams without a session: retire after "+human.Duration(l.RetireAfter))
	}
	return all
}
