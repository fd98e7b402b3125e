package doctor

// streamMissing asks for names without a stream.
func streamMissing() Check {
	return Check{
		ID: "stream-missing", Group: Streams,
		needs:  []fact{factStreams, factSessions},
		Rule:   "A name in the set streams is that of a stream.",
		Source: fromStreaming,
		Remedy: "Nothing, if the stream was just listed. Clean-up drops a name that no session names after CLEANUP_RETIRE_AFTER.",
		Noun:   "name", Found: "in the set streams without a stream and without a session", Good: "each name is that of a stream",
		buffer: func(b *Buffer, o *outcome) {
			o.more = b.MoreMissing
			for _, name := range b.Missing {
				o.found(Advice, name, "")
			}
		},
	}
}
