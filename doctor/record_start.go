package doctor

// recordStart asks whether readers are told what the session is.
func recordStart() Check {
	return Check{
		ID: "record-start", Group: Sessions,
		Rule:   "A session begins with its Session JSON: readers wait for it. It has the identity of the entry.",
		Source: fromStreaming,
		Remedy: "Stream the Session JSON in the first message, and again whenever it changes. If another session takes the same id (session-twins), its messages are among these.",
		Noun:   "message", Found: "whose Session JSON has another identity", Good: "the session begins with its Session JSON",
		recording: func(r *Recording, o *outcome) {
			o.more = len(r.Strangers) >= maxNames
			for _, e := range r.Strangers {
				o.found(Error, e.Name, e.Detail)
			}
			switch {
			case r.Messages == 0 || r.Gone:
			case r.FirstJSON == 0:
				o.says(Error, "no message has a Session JSON")
			case r.FirstJSON > 1:
				o.says(Warning, "the first Session JSON comes with message %d", r.FirstJSON)
			}
		},
	}
}
