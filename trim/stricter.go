package trim

import (
	"context"
	"hash/fnv"
	"maps"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// The members of the Hash in which a run leaves its policies for the next one.
const (
	factMaxLength = "max_length"
	factMaxAge    = "max_age_ms"
	factMinAge    = "min_age_ms"
	factRules     = "rules" // a hash of their sentences
)

// facts are the policies in a few numbers.
func (ps Policies) facts() buffer.Facts {
	rules := fnv.New64a()
	for _, r := range ps.Rules {
		_, _ = rules.Write([]byte(r.Pattern.String() + ": " + r.Policy.String() + "\n"))
	}
	return buffer.Facts{
		factMaxLength: ps.Default.MaxLength, factMaxAge: ps.Default.MaxAge.Milliseconds(), factMinAge: ps.Default.MinAge.Milliseconds(),
		factRules: int64(rules.Sum64()),
	}
}

// stricter reports whether the policies may keep less than they did before.
// Rules that changed are taken to do so.
func (ps Policies) stricter(before buffer.Facts) bool {
	if len(before) == 0 {
		return false
	}
	now := ps.facts()
	lower := func(fact string) bool { return now[fact] > 0 && (before[fact] == 0 || now[fact] < before[fact]) }
	return lower(factMaxLength) || lower(factMaxAge) || now[factMinAge] < before[factMinAge] || now[factRules] != before[factRules]
}

// announce says, before the first run under a stricter policy, how much it is
// going to remove. What the last policy was is remembered in Redis; where it
// cannot be, nothing is said.
func (t *Trimmer) announce(ctx context.Context) error {
	before, err := t.store.TrimPolicy(ctx)
	if err != nil || maps.Equal(before, t.o.Policies.facts()) {
		return err
	}
	if t.o.Policies.stricter(before) {
		silent := New(t.store, Options{Policies: t.o.Policies, RespectGroups: t.o.RespectGroups, GroupIdleAfter: t.o.GroupIdleAfter})
		r, err := silent.Plan(ctx, func(Action) {})
		if err != nil {
			return err
		}
		if r.EntriesRemoved > 0 {
			t.o.Log.Warn("the policy got stricter: this run removes what it no longer keeps",
				"streams", r.StreamsTrimmed, "entries", r.EntriesRemoved, "policies", t.o.Policies.Sentences())
		}
	}
	return t.store.SetTrimPolicy(ctx, t.o.Policies.facts())
}
