package inspect

import (
	"fmt"
	"math"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// Since says where following begins. The zero value is the end of the stream:
// only what comes from then on.
type Since struct {
	given bool
	from  buffer.ID
	// byTime says that from stands for a time, and needs ids that are times;
	// relative that it is ago, counted back from Redis's time, instead.
	byTime, relative bool
	ago              time.Duration
}

// ParseSince reads a duration such as 10m, which is counted back from now, the
// id of a message, or a time as RFC 3339 has it. A whole number is an id, so 0
// is the beginning of the stream.
func ParseSince(text string) (Since, error) {
	if id, err := buffer.ParseID(text); err == nil {
		return Since{given: true, from: id}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return Since{given: true, from: buffer.TimeID(at), byTime: true}, nil
	}
	if ago, err := human.ParseDuration(text); err == nil && ago >= 0 {
		return Since{given: true, ago: ago, byTime: true, relative: true}, nil
	}
	return Since{}, fmt.Errorf("%q: want a duration such as 10m, the id of a message, or a time such as 2026-05-31T14:00:00Z", text)
}

// at is the same with the duration counted back from Redis's time.
func (s Since) at(now time.Time) Since {
	if s.relative {
		s.from = buffer.TimeID(now.Add(-s.ago))
	}
	return s
}

// before is the largest id below another, and 0-0 for that itself.
func before(id buffer.ID) buffer.ID {
	switch {
	case id.Seq > 0:
		return buffer.ID{Ms: id.Ms, Seq: id.Seq - 1}
	case id.Ms > 0:
		return buffer.ID{Ms: id.Ms - 1, Seq: math.MaxUint64}
	}
	return id
}
