package trim

import (
	"fmt"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// StreamStats are what a decision about one stream is based on.
type StreamStats struct {
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

// Action is the decision about one stream that is over a limit.
type Action struct {
	Stream string
	// Entries that would go; an estimate if Estimated is set.
	Entries   int64
	Estimated bool
	// Reason in words.
	Reason string
	// Protected are the entries over a limit that stay all the same.
	Protected []Protection
}

// Protector is what keeps entries over a limit; it is a metric's label.
type Protector string

// The protectors.
const (
	ProtectedByAge   Protector = "age"
	ProtectedByGroup Protector = "group"
	// ProtectedByNode are entries that share a macro node with ones that stay.
	ProtectedByNode Protector = "node"
)

// Protection is what protects entries that are over a limit.
type Protection struct {
	By      Protector
	Entries int64
	// Group is the consumer group, if one protects them.
	Group string
	// Reason in words.
	Reason string
}

// Decide says what the policy removes from a stream, and what of it stays
// because something protects it; false if the stream is within its limits.
func Decide(p Policy, s StreamStats, now time.Time) (Action, bool) {
	if p.KeepsAll() || !s.Info.Exists() {
		return Action{}, false
	}
	timeIDs := s.Info.LastID.IsTime(now)
	length := s.Info.Length
	byLength, byAge := int64(0), int64(0)
	var reasons []string
	if p.MaxLength > 0 && length > p.MaxLength {
		byLength = length - p.MaxLength
		reasons = append(reasons, fmt.Sprintf("%s entries (limit %s)", human.Count(length), human.Count(p.MaxLength)))
	}
	if p.LimitsAge(now) && timeIDs && s.OldEntries > 0 {
		byAge = s.OldEntries
		age := now.Sub(s.Info.First.Time())
		reasons = append(reasons, fmt.Sprintf("oldest entry %s old (limit %s)", human.Duration(age), human.Duration(p.MaxAge)))
	}
	over := max(byLength, byAge)
	action := Action{Stream: s.Stream, Entries: over}
	action.Estimated = s.Estimated && (byAge > 0 || p.MinAge > 0 || s.HeldBy != "")
	if p.MinAge > 0 && timeIDs {
		action.Protect(length-s.YoungEntries, Protection{By: ProtectedByAge,
			Reason: fmt.Sprintf("%s are younger than %s and stay", human.Count(s.YoungEntries), human.Duration(p.MinAge))})
	}
	if s.HeldBy != "" {
		action.Protect(length-s.NeededEntries, Protection{By: ProtectedByGroup, Group: s.HeldBy,
			Reason: StillNeeds(s.HeldBy, s.NeededEntries)})
	}
	for _, protection := range action.Protected {
		reasons = append(reasons, protection.Reason)
	}
	if !p.Exact && action.Entries < length && s.NodeEntries > 1 {
		// How many entries each node holds is only known on the average.
		action.Estimated = true
		action.Protect(wholeNodes(s, action.Entries, byLength, byAge), Protection{By: ProtectedByNode,
			Reason: fmt.Sprintf("in a macro node of about %s", human.Count(s.NodeEntries))})
	}
	action.Reason = strings.Join(reasons, "; ")
	return action, over > 0
}

func StillNeeds(group string, entries int64) string {
	return fmt.Sprintf("consumer group %s still needs %s", buffer.Quote(group), human.Count(entries))
}

// Protect keeps the entries of an action beyond most.
func (a *Action) Protect(most int64, p Protection) {
	most = max(0, most)
	if p.Entries = a.Entries - most; p.Entries > 0 {
		a.Entries = most
		a.Protected = append(a.Protected, p)
	}
}

// wholeNodes is how many of the entries approximate trimming removes: whole
// macro nodes, unless a limit leaves less than the rest of one.
func wholeNodes(s StreamStats, entries, byLength, byAge int64) int64 {
	whole := entries - entries%s.NodeEntries
	for _, over := range []int64{byLength, byAge} {
		if rest := over - over%s.NodeEntries; over >= entries && s.HeldBy == "" && GoesExact(over-rest, s.Info.Length-rest) {
			return entries
		}
	}
	return whole
}

// GoesExact reports whether entries go that share their macro node with ones
// that stay, though trimming is approximate: that node alone is larger than what
// the limit leaves.
func GoesExact(over, length int64) bool { return over > 0 && over >= length-over }
