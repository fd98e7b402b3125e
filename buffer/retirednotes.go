package buffer

import (
	"context"
	"math"
	"time"
)

// RetiredNote is what is remembered of a stream that is, or was, not listed any more.
type RetiredNote struct {
	// At is when it was retired, or last restored; zero if nothing is remembered.
	At time.Time
	// Dropped: it was not retired, its name was taken out as it had no key. Restored: At
	// is when its name was listed again.
	Dropped, Restored bool
}

// why is why a name is noted, which its score says: part is added to the time in ms. Of
// a note that is there goesOn stays, if it has at least as much.
type why struct{ part, goesOn float64 }

// What stays beyond all parts of a millisecond never goes on.
const (
	droppedPart  = 0.5
	restoredPart = 0.25
)

var (
	isRetired  = why{0, 1}
	isDropped  = why{droppedPart, 1}
	isRestored = why{restoredPart, droppedPart}
)

// RetiredNotes gives, for each name, what is remembered of its retirement.
func (b *Buffer) RetiredNotes(ctx context.Context, names []string) ([]RetiredNote, error) {
	scores, err := b.noted(ctx, stateRetired, names)
	notes := make([]RetiredNote, len(scores))
	for i, score := range scores {
		_, part := math.Modf(score)
		notes[i] = RetiredNote{At: scoreTime(score), Dropped: part >= droppedPart}
		if notes[i].Dropped {
			part -= droppedPart
		}
		notes[i].Restored = part >= restoredPart
	}
	return notes, err
}
