package registry

// Text is the value of a property, and whether the entry has it.
type Text struct {
	Value string
	Set   bool
}

// StreamID is the streamSessionId.
func (s Session) StreamID() Text { return s.id.exported() }

// Time is what stands for the time of the last update, and the name of the
// property that has it: some producers call lastUpdated updated.
func (s Session) Time() (name string, value Text) {
	if s.updated.set || !s.altTime.set {
		return propUpdated, s.updated.exported()
	}
	return propUpdatedOld, s.altTime.exported()
}

// Position is the streamPosition, read by a scan [Registry.InFull].
func (s Session) Position() Text { return s.position.exported() }

// TimeRange is tStart and tEnd, read by a scan [Registry.InFull].
func (s Session) TimeRange() (start, end Text) { return s.start.exported(), s.end.exported() }

func (o optional) exported() Text { return Text{o.text, o.set} }
