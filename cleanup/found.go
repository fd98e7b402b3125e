package cleanup

import (
	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
)

// found is what the first scan found. Nothing beyond its counts is removed.
type found struct {
	// allLayouts: sessions were looked for in every layout; complete: the scans
	// came to their ends.
	allLayouts, complete bool
	// listed is how many names the set holds, ours and others'.
	listed   int64
	sessions sessionCounts
	// abandon, retire and drop count sessions, streams and names.
	abandon, retire, drop int64
	examples              examples
	// names are those of the sessions and streams that are to go.
	names sketch
	// unlisted are streams that live sessions name and the set does not hold.
	unlisted map[string]bool
	// watched are names that were seen without an entry for the first time.
	watched []string
	// groups have no consumers, and are not noted yet.
	groups []buffer.StreamGroup
}

// sessionCounts count sessions.
type sessionCounts struct {
	all, stale int64
	// paused are stale ones that a pause keeps.
	paused int64
	// lasting are those that do not expire by themselves, lastingStale those of
	// them that are stale.
	lasting, lastingStale int64
	// fieldTTL: fields of the shared Hash expire by themselves, so that the last
	// run's count cannot be compared.
	fieldTTL bool
	// open: one of the stale ones is not closed.
	open bool
}

// count counts a session of the first scan, whatever it is judged to be.
func (n *sessionCounts) count(s *registry.Session) {
	n.all++
	switch {
	case isLasting(*s):
		n.lasting++
	case !s.HasOwnKey():
		n.fieldTTL = true
	}
}

// isLasting reports whether a session stays until somebody removes it.
func isLasting(s registry.Session) bool { return !s.SelfExpiring }

// unjudged are sessions of which this run does not say whether they are to expire:
// they say nothing for the others.
func (r *run) unjudged() int64 { return r.report.SessionsPostponed + r.found.sessions.paused }

// acted is what the second scan has done.
type acted struct {
	// expired are the sessions that it removed, by the stream they named, to be
	// looked for once more before the stream is retired; they take so many bytes.
	expired map[string][]expired
	bytes   int64
	// lasting are those that do not expire by themselves.
	lasting int64
	// noMemory: Redis refuses what grows, so nothing more is marked; unmarkable:
	// nothing can be marked as abandoned at all.
	noMemory, unmarkable bool
}
