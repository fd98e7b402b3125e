package doctor

// policyUnused asks for rules that no stream has.
func policyUnused() Check {
	return Check{
		ID: "policy-unused", Group: Retention,
		needs:  []fact{factStreams},
		Rule:   "Each rule of TRIM_POLICIES matches a stream.",
		Source: fromOurs,
		Remedy: "Correct the pattern (it is that of the name, without the prefix of the key), or take the rule out.",
		Noun:   "rule", Found: "of TRIM_POLICIES that no stream has", Good: "each rule matches a stream",
		buffer: func(b *Buffer, o *outcome) {
			for i, rule := range b.Policies.Rules {
				if !b.Used[i] && b.Totals.Streams > 0 {
					o.found(Warning, rule.Pattern.String(), rule.Policy.String())
				}
			}
		},
	}
}
