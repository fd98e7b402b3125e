package inspect

import (
	"slices"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/burst"
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
	// Rate is how many messages a second the stream gets: by its newest ones while it
	// flows, or by all, if that is more; 0 if it cannot be told.
	Rate float64
}

// summarize keeps a summary, if that was asked for.
func (r *run) summarize(t target, messages []Message, flow float64) {
	if r.o.Summaries {
		r.summaries[t.name] = newSummary(t.name, t.length, messages, flow)
	}
}

// newSummary sums up the messages, which are in the order of their ids, of a stream to
// which so many a second come while it flows, 0 if that is not known.
func newSummary(stream string, length int64, messages []Message, flow float64) *Summary {
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
	s.Rate = max(flow, meanRate(s.Length, messages))
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
}

// meanRate is how many messages a second came in all, if their ids are times.
func meanRate(length int64, messages []Message) float64 {
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
