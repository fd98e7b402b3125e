package doctor

// trimBlocked asks what keeps streams over their limits.
func trimBlocked() Check {
	return Check{
		ID: "trim-blocked", Group: Retention,
		needs:  []fact{factGroups},
		Rule:   "Streams stay within their limits, but for the rest of a macro node.",
		Source: fromOurs,
		Remedy: "Let the group's consumers read and acknowledge, or XGROUP DESTROY it; TRIM_GROUP_IDLE_AFTER ends its protection. streamkeeper plan says more of each stream.",
		Noun:   "stream", Found: "over the limit that cannot be trimmed", Good: "nothing keeps streams over their limits",
		stream: func(s *Stream, o *outcome) {
			limit := s.Policy.LengthLimit()
			if s.Floor.Group != "" && limit > 0 && s.Info.Length > limit {
				o.found(Warning, s.Name, "consumer group "+quote(s.Floor.Group)+" still needs entries from "+s.Floor.Needed.String()+" on")
			}
			if limit == 0 && s.Policy.MaxAge > 0 && !s.Policy.KeepAll && s.Info.Exists() && s.Info.Length > 0 && !s.Info.LastID.IsTime(s.Now) {
				o.found(Warning, s.Name, "its limit is an age, and its ids are no times")
			}
		},
	}
}
