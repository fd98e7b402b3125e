package explain

import (
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/trim"
)

// Stream is what there is to say of a stream.
type Stream struct {
	Name   string
	Listed bool
	// Others: our patterns leave the stream to others.
	Others bool
	Info   buffer.StreamInfo
	Memory buffer.EntryMemory
	// Flow is how many entries a second come while it flows, 0 if not known.
	Flow   float64
	Groups []buffer.Group
	// WithoutConsumers is since when groups are known to have none, by name.
	WithoutConsumers map[string]time.Time
	Policy           trim.Policy
	// Rule is the pattern of the rule that the policy comes from; "" where it
	// comes from the global settings.
	Rule string
	// Cut is what the next trim does; no steps where the stream is within its
	// limits.
	Cut trim.Cut
	// MayLoseMore: what memory pressure takes is not in it.
	MayLoseMore bool
	// Sessions are the first of those that name the stream, Named is how many do.
	Sessions []Session
	Named    int64
	// Fate is what clean-up makes of it, where no session names it.
	Fate *Fate
	// Unjudged is why it is not known what clean-up makes of it and of its sessions;
	// empty where it is.
	Unjudged string
	// Retired is what is remembered of its retirement.
	Retired buffer.RetiredNote
	// Trims are what was trimmed in the last 48 hours, the newest first.
	Trims []buffer.TrimSum
	// Past is what the history has of it.
	Past Past
	// At is what became of the data of a time; nil if that was not asked for.
	At *At
}

// Fate is what becomes of a stream that no session names.
type Fate struct {
	cleanup.StreamFacts
	Fate   cleanup.StreamState
	Reason string
}

// Exists reports whether there is, or was, anything of that name.
func (s *Stream) Exists() bool {
	return s.Listed || s.Info.Type != "none" && s.Info.Type != "" || s.Named > 0 || !s.Retired.At.IsZero() || len(s.Past.Removals) > 0 || len(s.Trims) > 0
}

// Session is what there is to say of a session.
type Session struct {
	Identity string
	Layout   registry.Layout
	Stream   string
	ID       string
	// Updated is zero where the time cannot be read.
	Updated time.Time
	State   cleanup.State
	Reason  string
	// JSONState is the state of its Session JSON, "" if there is none.
	JSONState string
	// Action is what the next clean-up does to it, nil for nothing.
	Action *cleanup.Action
	// Others: its stream is left to others. Gone: there is none, but in the history, or
	// a copy of one that expired.
	Others, Gone bool
	// Outlook is what becomes of one that stays, if it is not updated any more; nil where
	// nobody looked. Held is why one that is due to be marked as abandoned is not, "" for
	// nothing.
	Outlook *cleanup.Outlook
	Held    string
	// Copied: undo can put it back, until CopiedUntil; where that is zero, until the
	// next clean-up. Expired is when it went, by its copy; zero without one.
	Copied               bool
	CopiedUntil, Expired time.Time
	// Past is what the history has of it.
	Past Past
}

// Answer is what there is to say of a name.
type Answer struct {
	// Name is what it is about, and Asked the name that was asked for: it may be the key
	// of the stream.
	Name, Asked string

	Stream   *Stream
	Sessions []Session
	// Near are names like it, where there is neither.
	Near []string
	// Others: our patterns leave a stream of that name to others.
	Others bool
}

// Known reports whether there is anything of that name.
func (a *Answer) Known() bool { return a.Stream != nil || len(a.Sessions) > 0 }

// Result is what was asked for.
type Result struct {
	Now     time.Time
	Limits  cleanup.Limits
	Answers []Answer
	// TrimOff and CleanupOff say that the jobs do not run.
	TrimOff, CleanupOff bool
	// Record is what is known of what was removed.
	Record Record
	// Brake is why the guard would stop the clean-up, "" if it would not.
	Brake string
	// BrakeUntil is when the guard releases the same decision, zero for never.
	BrakeUntil time.Time
}
