package doctor

import (
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/inspect"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/trim"
)

// Server is what is known of Redis, of the way to it, and of our own few keys.
// Where a part could not be read, the checks that need it are not made; those that
// can do without it have an error beside it.
type Server struct {
	redisconn.Server
	// Target is where Redis is, without any secret.
	Target    string
	Database  int
	Transport redisconn.Transport
	// Now is Redis's time.
	Now time.Time
	// Apart is how far this machine's clock is ahead of Redis's.
	Apart time.Duration
	// RoundTrip is the quickest of a few.
	RoundTrip time.Duration

	// Databases are how many keys each has; Streams, how many names this one has.
	Databases      map[int]int64
	DatabasesError error
	Streams        int64
	// OwnKeys are keys of ours, and Absence says where was looked if there is no
	// stream; they are asked for then only.
	OwnKeys int64
	Absence string

	Nodes []buffer.NodeState
	// NodeLimits are known where something is trimmed.
	NodeLimits buffer.NodeLimits
	Trims      bool

	// MissingRights are words of an ACL rule that the Redis user lacks for what is
	// enabled, and MissingToRead those that an examination needs beside them.
	MissingRights, MissingToRead []string
	// OnlyReads: it lacks no right to read, and each right to write.
	OnlyReads bool

	Instances      []buffer.Instance
	InstancesError error
	Pauses         buffer.Pauses
	// HistoryLength is how many removals are remembered, and History what is of the
	// last week.
	HistoryLength int64
	History       buffer.HistorySummary
	// Leases says that instances share the work by a lease.
	Leases bool
	Lease  buffer.LeaseState
	// Unusable are our own keys that hold another type.
	Unusable []buffer.StateKey
}

// Stream is a name in the set of streams.
type Stream struct {
	Name string
	// Prefix begins the keys of streams.
	Prefix string
	Now    time.Time
	Info   buffer.StreamInfo
	// Behind is the type of the key that the name itself would be, where the name
	// begins with the prefix; else empty.
	Behind string
	// Bytes that its key takes, 0 if Redis does not say.
	Bytes  int64
	Policy trim.Policy
	// Trims: streams are trimmed here. Relieved: they may keep less than their
	// policy where memory is short.
	Trims, Relieved bool
	// Floor is what a consumer group needs, where that was asked.
	Floor buffer.GroupFloor
	// Sums are what we trimmed, the newest hour first, where that was asked as entries
	// are missing. Recorded: what is trimmed is, and there was room for a sum of it.
	Sums     []buffer.TrimSum
	Recorded bool
	// Flow is how many entries a second come while it flows, 0 if that was not asked.
	Flow float64
}

// Rate is how many entries a second come while the stream flows, as far as that was
// asked, or in all, if that is more: what memory has to do for. 0 if it cannot be told.
func (s *Stream) Rate() float64 { return max(s.Flow, s.MeanRate()) }

// MeanRate is how many entries a second came in all, going by the ids, pauses
// included; 0 if that cannot be told.
func (s *Stream) MeanRate() float64 {
	i := s.Info
	if i.Length < 2 || !i.First.IsTime(s.Now) || !i.Newest.IsTime(s.Now) || i.Newest.Ms == i.First.Ms {
		return 0
	}
	return float64(i.Length-1) / i.Newest.Time().Sub(i.First.Time()).Seconds()
}

// Coverage is the time between the oldest and the newest entry.
func (s *Stream) Coverage() time.Duration {
	if s.MeanRate() == 0 {
		return 0
	}
	return s.Info.Newest.Time().Sub(s.Info.First.Time())
}

// Flows reports whether an entry came within a limit.
func (s *Stream) Flows(limit time.Duration) bool {
	return s.Info.Newest.IsTime(s.Now) && s.Now.Sub(s.Info.Newest.Time()) <= limit
}

// Session is an entry of the registry.
type Session struct {
	registry.Session
	Now time.Time
	// Prefix begins the keys of streams.
	Prefix string
	// ExpireAfter is how long it may go without an update.
	ExpireAfter time.Duration
	// Listed: the set of streams has the stream that it names. StreamNewest is when
	// the newest entry of that stream came, zero if that is not a time.
	Listed       bool
	StreamNewest time.Time
	// Sampled: JSON was read; Lasting: it has no time to live and could have one.
	Sampled bool
	JSON    string
	Lasting bool
}

// Age is how long ago it was updated; ok is false if that is not known.
func (s *Session) Age() (age time.Duration, ok bool) {
	if s.Fault(s.Now) != nil {
		return 0, false
	}
	return s.Now.Sub(s.Updated), true
}

// Sample is what was read of a stream's messages.
type Sample struct {
	Stream   Stream
	Sessions int64
	Messages []inspect.Message
	// Orphans are recent messages whose id no session has.
	Orphans []inspect.Message
}

// Buffer is what is known when all was read.
type Buffer struct {
	Server *Server
	Now    time.Time
	// Missing are listed names without a key that no session names; Unlisted are
	// streams that neither the set nor a session names. Both are the first thousand;
	// MoreMissing says that there may be more of the former.
	Missing     []string
	MoreMissing bool
	Unlisted    []string
	// Shared are streams that many sessions name at once.
	Shared []Shared
	// Twins are sessions that share a stream and an id.
	Twins []Twins
	// Attended are sessions whose messages were looked for.
	Attended []Attended

	// SizesError says why it is not known what streams take, and SessionsError why
	// not whether there are sessions.
	SizesError, SessionsError error

	// Counter is what the counter holds; it may be no String.
	Counter        string
	HasCounter     bool
	CounterIsOther bool
	// LargestID is the largest stream session id, of LargestOf; HasID if there is one.
	LargestID uint64
	LargestOf string
	HasID     bool

	// Policies and which of their rules a stream has.
	Policies trim.Policies
	Used     []bool
	Totals   Totals
	// Narrowed: patterns may leave out streams.
	Narrowed bool
}

// Totals are sums over all streams.
type Totals struct {
	Streams, Sessions, Entries int64
	// Bytes that the streams take, and BytesPerSecond that come.
	Bytes, BytesPerSecond float64
	// AtLimits is what they take once each is at its limit; Endless says how many
	// grow without one.
	AtLimits float64
	Endless  int64
	// EndlessBytes are those a second that come to these.
	EndlessBytes float64
	// Least is the stream that covers the least time.
	Least         string
	LeastCoverage time.Duration
	// New are streams whose first entry came within a day.
	New int64
	// Pending are entries that consumers of groups have not acknowledged.
	Pending int64
	// Uncounted are streams of which Redis does not say how many entries have gone,
	// and LimitedByMore those whose length alone does not say who removed them.
	Uncounted, LimitedByMore int64
	// Unrecorded lack entries, and the record does not say who removed them.
	Unrecorded int64
}

// Shared is a stream and how many sessions that are not known to be closed name it.
type Shared struct {
	Stream   string
	Sessions int64
}

// Twins are sessions that name one stream and one id.
type Twins struct {
	Stream, ID string
	Identities []string
}

// Attended is a session whose messages were looked for.
type Attended struct {
	Session *Session
	// Found: a message of it is there, the newest of which came at Newest.
	Found  bool
	Newest time.Time
	// Whole: every message that came since Since was looked at.
	Whole bool
	Since time.Time
	// Never: the stream never had an entry.
	Never bool
	State string
}
