package sweep

import (
	"context"
	"maps"

	"github.com/streamkeeper/streamkeeper/trim"
)

// announce says, before the first run under a stricter policy, how much it is
// going to remove. What the last policy was is remembered in Redis; where it
// cannot be, nothing is said.
func (s *Sweeper) announce(ctx context.Context) error {
	before, err := s.store.TrimPolicy(ctx)
	if err != nil || maps.Equal(before, s.o.Policies.Facts()) {
		return err
	}
	if s.o.Policies.Stricter(before) {
		silent := New(s.store, Options{Policies: s.o.Policies, RespectGroups: s.o.RespectGroups, GroupIdleAfter: s.o.GroupIdleAfter})
		r, err := silent.Plan(ctx, func(trim.Cut) {})
		if err != nil {
			return err
		}
		if r.EntriesRemoved > 0 {
			s.o.Log.Warn("stricter policy removes entries",
				"streams", r.StreamsTrimmed, "entries", r.EntriesRemoved, "policies", s.o.Policies.Sentences())
		}
	}
	return s.store.SetTrimPolicy(ctx, s.o.Policies.Facts())
}
