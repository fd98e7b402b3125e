package doctor

import (
	"time"

	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// churnTime is how far back streams that were retired count, and newTime how far back
// one is new.
const (
	churnTime = 7 * 24 * time.Hour
	newTime   = 24 * time.Hour
)

// fewNew are so few new streams that they are not worth a word.
const fewNew = 10

// streamChurn asks whether streams come faster than they go.
func streamChurn() Check {
	return Check{
		ID: "stream-churn", Group: Streams,
		needs:  []fact{factTime, factStreams, factHistory},
		Rule:   "Streams are used again: no more new ones come in a day than are retired in a week.",
		Source: fromStreaming,
		Remedy: "Name streams after cars or sources, not after sessions. Or retire them sooner: CLEANUP_RETIRE_AFTER, CLEANUP_EXPIRE_AFTER.",
		buffer: func(b *Buffer, o *outcome) {
			h, t := b.Server.History, b.Totals
			retired := h.Actions[string(cleanup.Retire)]
			switch {
			case t.New <= fewNew:
				o.says(OK, "few streams are new: %s within a day", human.Count(t.New))
			case t.New <= retired:
				o.says(OK, "%s came within a day, and %s were retired within a week", human.Plural(t.New, "stream"), human.Count(retired))
			case b.Server.HistoryLength == 0 && h.Oldest.IsZero():
				o.says(OK, "not known: removals are not recorded (HISTORY_LENGTH)")
			case b.Now.Sub(h.Oldest) < churnTime:
				o.says(OK, "not known: removals are recorded for less than a week")
			default:
				o.says(Advice, "%s came within a day, and %s were retired within a week", human.Plural(t.New, "stream"), human.Count(retired))
			}
		},
	}
}

// isNew reports whether the stream's first entry came within a day. Where entries have
// gone, or the server does not count them, that is not known.
func (s *Stream) isNew() bool {
	return s.Info.Exists() && s.Info.Added >= 0 && s.Info.Gone() == 0 && s.Info.First.IsTime(s.Now) && s.Now.Sub(s.Info.First.Time()) < newTime
}
