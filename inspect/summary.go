package inspect

import (
	"fmt"
	"slices"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// Bounds past which a stream gets a hint.
const (
	// SmallBurst and LargeBurst are how far a typical burst may be from
	// [burst.AimedBurst], in bytes before compression.
	SmallBurst = burst.AimedBurst / 8
	LargeBurst = burst.AimedBurst * 8
	// ManySessions is how many sessions share a stream before that is worth
	// a word: a client that wants one of them is sent all.
	ManySessions = 10
)

// Summary is what the samples say of one stream.
type Summary struct {
	Stream string
	// Length of the stream in entries, and the messages that were judged.
	Length                      int64
	Messages, OK, Warn, Invalid int64
	// Encodings that were found, in the order of preference.
	Encodings []burst.Encoding
	// Size is the median length of a burst before compression in bytes, and
	// Ratio the median of how many times shorter the payload is; 0 if none
	// could be read.
	Size  int64
	Ratio float64
	// Kinds is how many StreamData of each kind the messages have.
	Kinds map[string]int
	// Rate is how many messages a second the stream gets, going by the ids of
	// the oldest and the newest; 0 if it cannot be told.
	Rate float64
	// Sessions is how many sessions name the stream; 0 unless they were read.
	Sessions int64
	// Hints in words.
	Hints []string

	// sessionIDs are the sessions that the messages belong to, as far as that
	// is known: of so many messages.
	sessionIDs []string
	identified int64
	// silent are a few sessions that none of the messages belongs to, out of
	// silentCount.
	silent      []string
	silentCount int64
}

// summarize keeps a summary, if that was asked for.
func (r *run) summarize(t target, messages []Message) {
	if r.o.Summaries {
		r.summaries[t.name] = newSummary(t.name, t.length, messages)
	}
}

// newSummary sums up the messages, which are in the order of their ids.
func newSummary(stream string, length int64, messages []Message) *Summary {
	s := &Summary{Stream: stream, Length: max(length, int64(len(messages))), Kinds: make(map[string]int)}
	var sizes []int64
	var ratios []float64
	for _, m := range messages {
		s.count(m)
		if m.Size > 0 && m.CompressedBytes > 0 {
			sizes = append(sizes, m.Size)
			ratios = append(ratios, float64(m.Size)/float64(m.CompressedBytes))
		}
	}
	slices.Sort(s.Encodings)
	s.Size, s.Ratio = median(sizes), median(ratios)
	s.Rate = rate(s.Length, messages)
	switch {
	case len(sizes) == 0:
	case s.Size < SmallBurst:
		s.hint("bursts are small: %s before compression, about %s is best", human.Bytes(s.Size), human.Bytes(burst.AimedBurst))
	case s.Size > LargeBurst:
		s.hint("bursts are large: %s before compression, about %s is best", human.Bytes(s.Size), human.Bytes(burst.AimedBurst))
	}
	return s
}

func (s *Summary) count(m Message) {
	s.Messages++
	switch m.Verdict {
	case burst.OK:
		s.OK++
	case burst.Warn:
		s.Warn++
	default:
		s.Invalid++
	}
	if m.Encoding != burst.Auto && !slices.Contains(s.Encodings, m.Encoding) {
		s.Encodings = append(s.Encodings, m.Encoding)
	}
	for kind, n := range m.Kinds {
		s.Kinds[kind] += n
	}
	if id, ok := sessionID(m.SessionID); ok {
		s.identified++
		if !slices.Contains(s.sessionIDs, id) {
			s.sessionIDs = append(s.sessionIDs, id)
		}
	}
}

func (s *Summary) hint(format string, args ...any) {
	s.Hints = append(s.Hints, fmt.Sprintf(format, args...))
}

// complete reports whether the sessions of all messages are known.
func (s *Summary) complete() bool { return s.identified == s.Length }

// rate is how many messages a second come, if their ids are times.
func rate(length int64, messages []Message) float64 {
	if len(messages) < 2 {
		return 0
	}
	first, newest := messages[0].ID, messages[len(messages)-1].ID
	if first.Ms < buffer.MinTimeMs || newest.Ms == first.Ms {
		return 0
	}
	return float64(length-1) / newest.Time().Sub(first.Time()).Seconds()
}

// median is the middle of the values, which it sorts; the upper one of two.
func median[T int64 | float64](values []T) T {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[len(values)/2]
}
