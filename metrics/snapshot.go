package metrics

import (
	"cmp"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/burst"
)

// Snapshot is what is known of the streams, for people to read.
type Snapshot struct {
	// Read is when the figures were read, in UTC; zero where they were not: on a follower.
	Read time.Time
	// Streams is the number of all streams.
	Streams int64
	// Chosen are the streams with a label of their own, the largest by memory first.
	Chosen []StreamFigures
	// OtherStreams and OtherEntries are the number of the others, and of their
	// entries, and OtherBytes about what these take in memory.
	OtherStreams, OtherEntries, OtherBytes int64
	// Others are some of these by name, the largest first. They are not to be changed.
	Others []OtherStream
}

// OtherStream is what is known of a stream without a label of its own: its name as
// labels are written, its entries, and about what these take, 0 if not known.
type OtherStream struct {
	Label          string
	Entries, Bytes int64
}

// StreamFigures is what is known of one stream.
type StreamFigures struct {
	// Label is the name as it is written in labels; see [Label].
	Label string
	// Entries in the stream, and Limit, how many its policy lets it have; 0 for
	// any number.
	Entries, Limit int64
	// Bytes is what the entries take in memory, 0 if not known, and LimitBytes what
	// their policy lets them take; 0 for any. Estimated: Bytes was not counted.
	Bytes, LimitBytes int64
	Estimated         bool
	// Protected are the entries over a limit that stay, as the last trimming run found.
	Protected int64
	// Timed reports that ids are times. Otherwise Coverage and Idle are not known.
	Timed          bool
	Coverage, Idle time.Duration
	// Trimmed is when entries were last removed, zero if never since the stream
	// got its label, and Removed is how many that run took.
	Trimmed time.Time
	Removed int64
	// Inspected is when messages were last looked at, zero if never. The rest is
	// what that run found.
	Inspected         time.Time
	Encoding          string
	OK, Warn, Invalid int64
	// History is the past since the stream got its label.
	History History
}

// Snapshot is what is known of the streams now.
func (m *Metrics) Snapshot() Snapshot { return m.streams.snapshot() }

func (t *streamTable) snapshot() Snapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Snapshot{
		Read: t.last.at, Streams: t.last.streams,
		OtherStreams: max(0, t.last.streams-int64(len(t.own))), OtherEntries: t.last.otherEntries, OtherBytes: t.last.otherBytes, Others: t.last.others,
		Chosen: make([]StreamFigures, 0, len(t.own)),
	}
	for name, own := range t.own {
		s.Chosen = append(s.Chosen, own.public(Label(name)))
	}
	slices.SortFunc(s.Chosen, func(a, b StreamFigures) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(b.Entries, a.Entries), cmp.Compare(a.Label, b.Label))
	})
	return s
}

func (s *series) public(label string) StreamFigures {
	f := StreamFigures{
		Label: label, Entries: s.entries, Limit: s.limits.Entries, Bytes: s.bytes, LimitBytes: s.limits.Bytes, Estimated: s.estimated,
		Timed: s.timed, Coverage: s.coverage, Idle: s.idle,
		Trimmed: s.trimmed.at, Removed: s.trimmed.entries,
		Inspected: s.inspected.at, Encoding: s.inspected.encoding,
		History: s.history.public(),
	}
	for _, entries := range s.protected {
		f.Protected += entries
	}
	if s.inspected.verdicts != nil {
		f.OK, f.Warn, f.Invalid = s.inspected.verdicts[burst.OK], s.inspected.verdicts[burst.Warn], s.inspected.verdicts[burst.Invalid]
	}
	return f
}
