package doctor

import "github.com/streamkeeper/streamkeeper/burst"

// recordEnd asks whether the session has ended as sessions do.
func recordEnd() Check {
	return Check{
		ID: "record-end", Group: Sessions,
		Rule:   "A session ends with a Session JSON whose state means that it is closed, in a message and in its entry.",
		Source: fromModel,
		Remedy: "Stream a last Session JSON with the state closed, and write it to the entry. While the session runs, this is as it should be.",
		recording: func(r *Recording, o *outcome) {
			entry, err := burst.ReadSession([]byte(r.Session.JSON))
			switch {
			case r.FirstJSON == 0:
				o.says(OK, "not known: no message has a Session JSON")
			case !r.LastJSON.Closed():
				o.says(Error, "the last Session JSON says %s", wordOf(r.LastJSON))
			case err != nil || !entry.Closed():
				o.says(Error, "the messages end with %s, and the entry says %s", wordOf(r.LastJSON), wordOf(entry))
			default:
				o.says(OK, "the session is %s", r.LastJSON.State)
			}
		},
	}
}

func wordOf(d burst.Description) string {
	switch {
	case d.State != "":
		return d.State
	case d.Written != "":
		return shortened(d.Written)
	}
	return "nothing"
}
