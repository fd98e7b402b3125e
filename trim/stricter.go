package trim

import (
	"fmt"
	"hash/fnv"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// factRules is the fact that is a hash of the rules; the others are
// the default policy's measures.
const factRules = "rules"

// Facts are the policies in a few numbers, which a run leaves in Redis for the
// next one.
func (ps Policies) Facts() buffer.StateFields {
	rules := fnv.New64a()
	for _, r := range ps.Rules {
		// Not what is displayed: that is rounded.
		_, _ = fmt.Fprintf(rules, "%s: %+v %t\n", r.Pattern, r.Policy.measures(), r.Policy.KeepAll)
	}
	facts := buffer.StateFields{factRules: int64(rules.Sum64())}
	for _, m := range ps.Default.measures() {
		facts[m.name] = m.value
	}
	return facts
}

// Stricter reports whether the policies may keep less than those of the facts.
// Rules that changed are taken to do so.
func (ps Policies) Stricter(before buffer.StateFields) bool {
	if len(before) == 0 {
		return false
	}
	for _, m := range ps.Default.measures() {
		was := before[m.name]
		if m.protects && m.value < was || !m.protects && m.value > 0 && (was == 0 || m.value < was) {
			return true
		}
	}
	return ps.Facts()[factRules] != before[factRules]
}
