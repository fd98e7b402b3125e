package sweep

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/streamkeeper/streamkeeper/trim"
)

// announcement is what was said of a stricter policy.
type announcement struct {
	// made: the policies were compared with the last ones, and what they remove was said.
	made bool
	// awaits are streams that were paused, not all if there are many: what goes from
	// these is said once they are not.
	awaits []string
	// failed is why they could not be compared, as it was said last.
	failed string
}

// compare says what a stricter policy removes, if that was not said yet.
func (s *Sweeper) compare(ctx context.Context) {
	if s.announced.made {
		return
	}
	err := s.announce(ctx)
	switch {
	case err == nil:
		s.announced.failed = ""
	case s.announced.failed != err.Error():
		s.announced.failed = err.Error()
		s.o.Log.Warn("cannot compare policies", "error", err)
	}
}

// announce says, before the first run under a stricter policy, how much it is
// going to remove. What the last policy was is remembered in Redis, unless a pause keeps
// entries that are still to go; where it cannot be, nothing is said.
func (s *Sweeper) announce(ctx context.Context) error {
	if awaits := s.announced.awaits; len(awaits) > 0 {
		paused, err := s.o.Paused(ctx)
		if err != nil || !slices.ContainsFunc(awaits, func(stream string) bool { return !paused(stream) }) {
			return err
		}
	}
	before, err := s.store.TrimPolicy(ctx)
	if err != nil {
		return err
	}
	facts := s.o.Policies.Facts()
	if maps.Equal(before, facts) {
		s.announced.made = true
		return nil
	}
	s.announced.awaits = nil
	if s.o.Policies.Stricter(before) {
		if err := s.announceStricter(ctx); err != nil || len(s.announced.awaits) > 0 {
			return err
		}
	}
	s.announced.made = true
	return s.store.SetTrimPolicy(ctx, facts)
}

// announceStricter says what goes, and finds out whether a pause keeps more.
func (s *Sweeper) announceStricter(ctx context.Context) error {
	silent := New(s.store, Options{Policies: s.o.Policies, RespectGroups: s.o.RespectGroups, GroupIdleAfter: s.o.GroupIdleAfter, Paused: s.o.Paused})
	byPause := func(p trim.Protection) bool { return p.By == trim.ProtectedByPause }
	r, err := silent.Plan(ctx, func(c trim.Cut) {
		if len(s.announced.awaits) < maxExamined && slices.ContainsFunc(c.Protected, byPause) {
			s.announced.awaits = append(s.announced.awaits, strings.Clone(c.Stream))
		}
	})
	if err != nil {
		return err
	}
	if r.EntriesRemoved > 0 {
		s.o.Log.Warn("stricter policy removes entries",
			"streams", r.StreamsTrimmed, "entries", r.EntriesRemoved, "policies", s.o.Policies.Sentences())
	}
	return nil
}
