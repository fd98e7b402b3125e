package buffer

import (
	"context"
	"fmt"
	"time"
)

// HistorySummary is how much the history remembers of a time.
type HistorySummary struct {
	// Oldest is when the oldest removal that is remembered was recorded, zero if none
	// is.
	Oldest time.Time
	// Actions are how many removals of each action came since the time.
	Actions map[string]int64
	// Missing is how many could not be recorded.
	Missing int64
}

// SummarizeHistory counts what the history remembers since a time.
func (b *Buffer) SummarizeHistory(ctx context.Context, since time.Time) (HistorySummary, error) {
	s := HistorySummary{Actions: make(map[string]int64)}
	oldest, err := b.rdb.XRangeN(ctx, b.stateKey(stateHistory), "-", "+", 1).Result()
	if err != nil {
		return s, fmt.Errorf("reading %q: %w", b.stateKey(stateHistory), err)
	}
	if len(oldest) == 0 {
		return s, nil
	}
	s.Oldest = removalOf(oldest[0]).Time
	return s, b.WalkHistory(ctx, since, func(r Removal) {
		if r.Action == Gap {
			s.Missing += r.Missing()
			return
		}
		s.Actions[r.Action]++
	})
}
