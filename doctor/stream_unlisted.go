package doctor

// streamUnlisted asks for streams that nobody lists.
func streamUnlisted() Check {
	return Check{
		ID: "stream-unlisted", Group: Streams,
		needs:  []fact{factStreams, factSessions, factUnlisted},
		Rule:   "Every stream is listed in the set streams: one that is not is read by nobody, and grows for ever.",
		Source: fromStreaming,
		Remedy: "SADD streams <name>, or remove the key if it is nobody's. CLEANUP_SCAN=true lists those again that were retired and came back.",
		Noun:   "stream", Found: "that the set streams does not list", Good: "every stream is listed",
		buffer: func(b *Buffer, o *outcome) {
			o.more = len(b.Unlisted) >= maxNames
			for _, name := range b.Unlisted {
				o.found(Warning, name, "")
			}
		},
	}
}
