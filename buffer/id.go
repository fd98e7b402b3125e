package buffer

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
)

// ID is the id of a stream entry: milliseconds since the Unix epoch and a
// sequence number. Both are compared as numbers; as strings they would sort
// "100-0" before "9-0".
type ID struct{ Ms, Seq uint64 }

// Bounds of what counts as a time; see [ID.IsTime].
const (
	// MinTimeMs is the smallest milliseconds part that is taken for a time
	// (September 2001): smaller ids are counters of a producer's own.
	MinTimeMs = registry.MinTimeMs
	// MaxTimeAhead is how far ahead of the server's clock a time may lie.
	MaxTimeAhead = registry.MaxTimeAhead
)

// ParseID reads "ms-seq" or "ms", both decimal.
func ParseID(text string) (ID, error) {
	ms, seq, hasSeq := strings.Cut(text, "-")
	var id ID
	var err error
	if id.Ms, err = strconv.ParseUint(ms, 10, 64); err == nil && hasSeq {
		id.Seq, err = strconv.ParseUint(seq, 10, 64)
	}
	if err != nil {
		return ID{}, fmt.Errorf("stream id %q: want <milliseconds>-<sequence>", text)
	}
	return id, nil
}

// TimeID is the smallest id at t.
func TimeID(t time.Time) ID { return ID{Ms: uint64(max(0, t.UnixMilli()))} }

// Compare orders ids as Redis does: -1, 0 or +1.
func (id ID) Compare(other ID) int {
	return cmp.Or(cmp.Compare(id.Ms, other.Ms), cmp.Compare(id.Seq, other.Seq))
}

// Less reports whether id comes before other.
func (id ID) Less(other ID) bool { return id.Compare(other) < 0 }

// Next is the smallest id above id.
func (id ID) Next() ID {
	if id.Seq == math.MaxUint64 {
		return ID{Ms: id.Ms + 1}
	}
	return ID{Ms: id.Ms, Seq: id.Seq + 1}
}

// IsZero reports whether id is 0-0, which no entry can have: the last id of a
// stream that never had an entry.
func (id ID) IsZero() bool { return id == ID{} }

// IsTime reports whether the id is a time, judged by the server's clock: not
// before 2001 and at most a day ahead.
func (id ID) IsTime(now time.Time) bool {
	return id.Ms >= MinTimeMs && id.Ms <= uint64(now.Add(MaxTimeAhead).UnixMilli())
}

// Time is the id's milliseconds as a time; it means something only where
// [ID.IsTime] holds.
func (id ID) Time() time.Time { return time.UnixMilli(int64(id.Ms)).UTC() }

func (id ID) String() string {
	return strconv.FormatUint(id.Ms, 10) + "-" + strconv.FormatUint(id.Seq, 10)
}
