package doctor

// recordOrder asks whether data goes forward in time.
func recordOrder() Check {
	return Check{
		ID: "record-order", Group: Sessions,
		Rule:   "The data of each channel goes forward in time from message to message, in nanoseconds since 1970.",
		Source: fromIDL,
		Remedy: "Append in the order in which the data was taken; one process a session, or a lock around taking and appending.",
		Noun:   "message", Found: "with data that is out of order or of no likely time", Good: "data goes forward in time",
		recording: func(r *Recording, o *outcome) {
			o.more = max(len(r.Unlikely), len(r.Disorder)) >= maxNames
			for _, e := range r.Unlikely {
				o.found(Error, e.Name, e.Detail)
			}
			for _, e := range r.Disorder {
				o.found(Error, e.Name, e.Detail)
			}
		},
	}
}
