package trim

import (
	"fmt"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// Protector is what keeps entries over a limit; it is a metric's label.
type Protector string

// The protectors.
const (
	ProtectedByAge   Protector = "age"
	ProtectedByGroup Protector = "group"
	ProtectedByPause Protector = "pause"
	// ProtectedByNode are entries that share a macro node with ones that stay.
	ProtectedByNode Protector = "node"
)

// Protectors lists every protector, for metrics that start at 0.
var Protectors = [...]Protector{ProtectedByAge, ProtectedByGroup, ProtectedByPause, ProtectedByNode}

// Protection is what protects entries that are over a limit.
type Protection struct {
	By      Protector
	Entries int64
	// Group is the consumer group, if one protects them.
	Group string
	// Stay is how many entries stay in all because of it; of a macro node, how
	// many it holds, 0 if that is not known.
	Stay int64
	// Age is the one below which entries stay, if their age protects them.
	Age time.Duration
	// Bytes is by how much they are over a limit of bytes, of MaxBytes; 0 if they are
	// over another one.
	Bytes, MaxBytes int64
}

// IsRest reports whether it is only the part of a macro node that approximate trimming
// leaves, as in nearly every stream.
func (p Protection) IsRest() bool {
	return p.By == ProtectedByNode && p.Bytes <= p.MaxBytes/20
}

// Reason says it in words.
func (p Protection) Reason() string {
	switch p.By {
	case ProtectedByAge:
		return fmt.Sprintf("%s are younger than %s and stay", human.Count(p.Stay), human.Duration(p.Age))
	case ProtectedByGroup:
		return fmt.Sprintf("consumer group %s still needs %s", buffer.Quote(p.Group), human.Count(p.Stay))
	case ProtectedByPause:
		return "trimming is paused"
	}
	if p.Bytes > 0 {
		return fmt.Sprintf("%s over the limit, but only whole macro nodes free memory, and no more of them may go", human.Bytes(p.Bytes))
	}
	if p.Stay == 0 {
		return "in a macro node with entries that stay"
	}
	return fmt.Sprintf("in a macro node of about %s", human.Count(p.Stay))
}
