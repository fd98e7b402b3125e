package sweep

import (
	"context"
	"maps"

	"github.com/streamkeeper/streamkeeper/trim"
)

// announce says, before the first run under a stricter policy, how much it is
// going to remove. What the last policy was is remembered in Redis; where it
// cannot be, nothing is said.
func (t *Sweeper) announce(ctx context.Context) error {
	before, err := t.store.TrimPolicy(ctx)
	if err != nil || maps.Equal(before, t.o.Policies.Facts()) {
		return err
	}
	if t.o.Policies.Stricter(before) {
		silent := New(t.store, Options{Policies: t.o.Policies, RespectGroups: t.o.RespectGroups, GroupIdleAfter: t.o.GroupIdleAfter})
		r, err := silent.Plan(ctx, func(trim.Action) {})
		if err != nil {
			return err
		}
		if r.EntriesRemoved > 0 {
			t.o.Log.Warn("the policy got stricter: this run removes what it no longer keeps",
				"streams", r.StreamsTrimmed, "entries", r.EntriesRemoved, "policies", t.o.Policies.Sentences())
		}
	}
	return t.store.SetTrimPolicy(ctx, t.o.Policies.Facts())
}
