package trim

import (
	"fmt"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// Facts are what a decision about one stream is based on.
type Facts struct {
	Stream string
	// Info is the stream as Redis knows it.
	Info buffer.StreamInfo
	// OldEntries is the number of entries below the policy's age limit, and
	// YoungEntries of those that its MinAge protects; estimated if so marked.
	OldEntries, YoungEntries int64
	Estimated                bool
	// NodeEntries is how many entries the macro nodes hold.
	NodeEntries int64
	// HeldBy is the consumer group that needs entries from Needed on, empty
	// if no group holds the stream back.
	HeldBy string
	// NeededEntries is how many of the newest entries that group needs.
	NeededEntries int64
}

// Action is the decision to trim one stream.
type Action struct {
	Stream string
	// Entries that would go; an estimate if Estimated is set.
	Entries   int64
	Estimated bool
	// Reason in words.
	Reason string
}

// Decide says what the policy removes from a stream; false if nothing.
func Decide(p Policy, f Facts, now time.Time) (Action, bool) {
	if p.KeepsAll() || !f.Info.Exists() {
		return Action{}, false
	}
	action := Action{Stream: f.Stream}
	var reasons []string
	length := f.Info.Length
	byLength := int64(0)
	if p.MaxLength > 0 && length > p.MaxLength {
		byLength = length - p.MaxLength
		reasons = append(reasons, fmt.Sprintf("%s entries (limit %s)", human.Count(length), human.Count(p.MaxLength)))
	}
	byAge := int64(0)
	timeIDs := f.Info.LastID.IsTime(now)
	if p.MaxAge > 0 && timeIDs {
		byAge = f.OldEntries
	}
	if byAge > 0 {
		age := now.Sub(f.Info.First.Time())
		reasons = append(reasons, fmt.Sprintf("oldest entry %s old (limit %s)", human.Duration(age), human.Duration(p.MaxAge)))
	}
	action.Entries = max(byLength, byAge)
	action.Estimated = f.Estimated && (byAge > 0 || p.MinAge > 0 || f.HeldBy != "")
	if spared := length - f.YoungEntries; p.MinAge > 0 && timeIDs && action.Entries > spared {
		action.Entries = spared
		reasons = append(reasons, fmt.Sprintf("%s are younger than %s and stay", human.Count(f.YoungEntries), human.Duration(p.MinAge)))
	}
	if f.HeldBy != "" && action.Entries > length-f.NeededEntries {
		action.Entries = length - f.NeededEntries
		reasons = append(reasons, fmt.Sprintf("consumer group %s still needs %s", buffer.Quote(f.HeldBy), human.Count(f.NeededEntries)))
	}
	if !p.Exact && action.Entries < length && f.NodeEntries > 1 {
		// Approximate trimming removes whole macro nodes only.
		action.Entries -= action.Entries % f.NodeEntries
	}
	action.Reason = strings.Join(reasons, "; ")
	return action, action.Entries > 0
}
