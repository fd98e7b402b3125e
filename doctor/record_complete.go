package doctor

import "github.com/streamkeeper/streamkeeper/internal/human"

// recordComplete asks whether the session can be judged from its first message on.
func recordComplete() Check {
	return Check{
		ID: "record-complete", Group: Sessions,
		Rule:   "The messages of the session are in its stream, after streamPosition.",
		Source: fromStreaming,
		Remedy: "Append with the session's id to the stream that streamName names; check before anything is trimmed.",
		recording: func(r *Recording, o *outcome) {
			switch {
			case r.Messages == 0 && r.Others > 0:
				o.says(Error, "no message: none of %s after streamPosition has its id", human.Plural(r.Others, "entry"))
			case r.Messages == 0:
				o.says(Error, "no message")
			case r.Cut:
				o.says(Advice, "only the first %s were judged", human.Plural(r.Messages, "message"))
			case r.Gone:
				o.says(Advice, "%s; what came before was trimmed", human.Plural(r.Messages, "message"))
			default:
				o.says(OK, "%s in %s", human.Plural(r.Messages, "message"), human.Duration(r.Last.Time().Sub(r.First.Time())))
			}
		},
	}
}
