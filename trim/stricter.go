package trim

import (
	"hash/fnv"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// The members of the Hash in which a run leaves its policies for the next one.
const (
	factMaxLength = "max_length"
	factMaxAge    = "max_age_ms"
	factMinAge    = "min_age_ms"
	factRules     = "rules" // a hash of their sentences
)

// Facts are the policies in a few numbers.
func (ps Policies) Facts() buffer.Facts {
	rules := fnv.New64a()
	for _, r := range ps.Rules {
		_, _ = rules.Write([]byte(r.Pattern.String() + ": " + r.Policy.String() + "\n"))
	}
	return buffer.Facts{
		factMaxLength: ps.Default.MaxLength, factMaxAge: ps.Default.MaxAge.Milliseconds(), factMinAge: ps.Default.MinAge.Milliseconds(),
		factRules: int64(rules.Sum64()),
	}
}

// Stricter reports whether the policies may keep less than they did before.
// Rules that changed are taken to do so.
func (ps Policies) Stricter(before buffer.Facts) bool {
	if len(before) == 0 {
		return false
	}
	now := ps.Facts()
	lower := func(fact string) bool { return now[fact] > 0 && (before[fact] == 0 || now[fact] < before[fact]) }
	return lower(factMaxLength) || lower(factMaxAge) || now[factMinAge] < before[factMinAge] || now[factRules] != before[factRules]
}
