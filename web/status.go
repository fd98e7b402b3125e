package web

import "time"

// Status is what the daemon says of itself: what the page shows, and what
// status.json gives. Names and identities are escaped already. Times are zero,
// and left out of the JSON, for never.
type Status struct {
	Frame
	Revision string    `json:"revision,omitempty"`
	Started  time.Time `json:"started,omitzero"`
	Stopping bool      `json:"stopping"`

	// Health is worked out of the rest by the server.
	Health Health `json:"health"`

	// Pauses are those that hold, the one that ends first at the front;
	// PausesUnknown is why they could not be read, empty if they could.
	Pauses        []Pause `json:"pauses"`
	PausesUnknown string  `json:"pauses_unknown,omitempty"`
	// PoliciesError is why the file of the policies could not be read again, empty if
	// the policies are those of the file.
	PoliciesError string `json:"policies_error,omitempty"`

	Redis       Redis       `json:"redis"`
	Leader      Leader      `json:"leader"`
	Jobs        []Job       `json:"jobs"`
	Streams     Streams     `json:"streams"`
	Sessions    Sessions    `json:"sessions"`
	NextCleanup NextCleanup `json:"next_cleanup"`
	Doctor      Doctor      `json:"doctor"`
	Removals    Removals    `json:"removals"`
	Errors      []Error     `json:"errors"`
}

// Waits reports whether this replica can neither lead nor follow for want of Redis.
func (s Status) Waits() bool {
	return !s.Leader.Leading && s.Leader.Name == "" && (s.Redis.Error != "" || s.Redis.Refused != "" || s.Leader.Error != "")
}

// Frame is what every page says.
type Frame struct {
	Version string `json:"version"`
	// Instance tells replicas apart.
	Instance string    `json:"instance,omitempty"`
	Time     time.Time `json:"time"`
	DryRun   bool      `json:"dry_run"`
}

// Redis is how it stands with Redis.
type Redis struct {
	// Address holds no secret.
	Address string `json:"address,omitempty"`
	// Error is why Redis cannot be used, as where it does not answer; empty if it can.
	Error string `json:"error,omitempty"`
	// Refused is why nothing may be removed there, empty if it may.
	Refused string `json:"refused,omitempty"`
	// Denied are the rights that the user lacks, empty if none is known to.
	Denied string `json:"denied,omitempty"`
	// Absence is where the buffer was looked for, empty if something was found.
	Absence string `json:"absence,omitempty"`
	Version string `json:"version,omitempty"`
	Mode    string `json:"mode,omitempty"`
	Memory
}

// Memory is what Redis uses of its memory, as the leader reads it: of the fullest
// node in a cluster.
type Memory struct {
	// Read reports that it was read, though Redis may not have told.
	Read bool `json:"-"`
	// Used and Max are in bytes, 0 for not known or no limit.
	Used int64 `json:"memory_used_bytes,omitempty"`
	Max  int64 `json:"memory_max_bytes,omitempty"`
	// Growth is in bytes a second, judged by so many of the last seconds: 0 where
	// that is not known yet.
	Growth        float64 `json:"memory_growth_bytes_per_second,omitempty"`
	GrowthSeconds float64 `json:"memory_growth_seconds,omitempty"`
	// Full is in how many seconds the memory is full at this growth, nil where it
	// never is.
	Full *float64 `json:"memory_full_in_seconds,omitempty"`
}

// Leader is how this replica stands to the lease.
type Leader struct {
	// Leading reports that it is this replica that works.
	Leading bool `json:"leading"`
	// Name of the replica that leads, empty where that is not known.
	Name string `json:"name,omitempty"`
	// Lease is `none`, `standby`, `held` or `unwritable`.
	Lease string `json:"lease"`
	// Error is why the lease cannot be had, empty where nothing is wrong with it.
	Error string `json:"error,omitempty"`
}

// Job is one job and its last run.
type Job struct {
	Name     string `json:"name"`
	Schedule string `json:"schedule"`
	Running  bool   `json:"running"`
	// Result of the last run: `ok`, `error`, `skipped`, `stopped`, `paused`, or `held
	// back` by the mass-deletion guard; empty before the first.
	Result      string    `json:"result,omitempty"`
	LastStart   time.Time `json:"last_start,omitzero"`
	Seconds     float64   `json:"seconds,omitempty"`
	LastSuccess time.Time `json:"last_success,omitzero"`
	LastFailure time.Time `json:"last_failure,omitzero"`
	// Error is that of the last failure.
	Error string `json:"error,omitempty"`
	// Summary says in words what the last run did.
	Summary string `json:"summary,omitempty"`
	// NextRun is zero where another replica runs the job.
	NextRun time.Time `json:"next_run,omitzero"`
	Overdue bool      `json:"overdue"`
	// Hangs says that the run under way takes far too long.
	Hangs bool `json:"hangs"`
}

// Pause stops jobs from removing anything for a while.
type Pause struct {
	ID string `json:"id"`
	// Job is the one that it stops, empty for trim and cleanup.
	Job string `json:"job,omitempty"`
	// Stream is the pattern of the streams that it is for, empty for all.
	Stream string    `json:"stream,omitempty"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`
	Reason string    `json:"reason,omitempty"`
	// What says in words what it stops.
	What string `json:"-"`
}

// Streams are the figures of the streams, as the leader reads them.
type Streams struct {
	// Read is when, zero where they were not: on a follower.
	Read  time.Time `json:"read,omitzero"`
	Total int64     `json:"total"`
	// Largest are the streams that have figures of their own: those that take most
	// memory.
	Largest []Stream `json:"largest"`
	// Others are the rest, which together have so many entries, and take about so
	// many bytes.
	Others       int64 `json:"others"`
	OtherEntries int64 `json:"other_entries"`
	OtherBytes   int64 `json:"other_bytes"`
	// Named visits as many of them as are known by name, with their entries and about
	// what these take, 0 if not known; nil for none.
	Named func(visit func(name string, entries, bytes int64)) `json:"-"`
}

// Stream is one stream.
type Stream struct {
	Name    string `json:"name"`
	Entries int64  `json:"entries"`
	// Limit is how many entries the policy lets it have, 0 for any number.
	Limit int64 `json:"limit,omitempty"`
	// Bytes is what the entries take in memory, 0 if not known, and LimitBytes what
	// the policy lets them take, 0 for any.
	Bytes      int64 `json:"bytes,omitempty"`
	LimitBytes int64 `json:"limit_bytes,omitempty"`
	// Estimated: Bytes is an estimate.
	Estimated bool `json:"bytes_estimated,omitempty"`
	// Protected are the entries over a limit that stay, as the last trim found.
	Protected int64 `json:"protected_entries,omitempty"`
	// Coverage and Idle are in seconds, nil where ids are not times.
	Coverage *float64 `json:"coverage_seconds,omitempty"`
	Idle     *float64 `json:"idle_seconds,omitempty"`
	// Trimmed is when it last lost entries, and Removed is how many in that run.
	Trimmed time.Time `json:"trimmed,omitzero"`
	Removed int64     `json:"removed,omitempty"`
	// Inspected is when its messages were last sampled; the rest is what that
	// run found.
	Inspected time.Time `json:"inspected,omitzero"`
	Encoding  string    `json:"encoding,omitempty"`
	OK        int64     `json:"ok"`
	Warn      int64     `json:"warn"`
	Invalid   int64     `json:"invalid"`
	// History is nil where nothing was read yet.
	History *History `json:"history,omitempty"`
}

// History is what the last readings of a stream's figures found, the oldest
// first: its entries, and how many were removed since the reading before.
type History struct {
	Entries []int64 `json:"entries"`
	Removed []int64 `json:"removed"`
}

// Sessions are how many sessions are in each state.
type Sessions struct {
	// Read is when the last clean-up counted them, zero if none did here.
	Read      time.Time `json:"read,omitzero"`
	Live      int64     `json:"live"`
	Stale     int64     `json:"stale"`
	Malformed int64     `json:"malformed"`
	Flowing   int64     `json:"flowing"`
}

// NextCleanup is what the next clean-up would do, as things were at Decided.
type NextCleanup struct {
	Decided time.Time `json:"decided,omitzero"`
	// Brake is why it would remove nothing, empty if the mass-deletion guard does
	// not hold it back; it does so since BrakeSince, and until BrakeUntil, zero for
	// ever.
	Brake      string    `json:"brake,omitempty"`
	BrakeSince time.Time `json:"brake_since,omitzero"`
	BrakeUntil time.Time `json:"brake_until,omitzero"`
	// Lost says that the set of stream names is empty although nobody cleaned it
	// up, empty if it is not.
	Lost    string `json:"lost,omitempty"`
	Expire  int64  `json:"expire_sessions"`
	Abandon int64  `json:"abandon_sessions"`
	Retire  int64  `json:"retire_streams"`
	Restore int64  `json:"restore_streams"`
	Drop    int64  `json:"drop_names"`
	// Examples are some of the actions.
	Examples []Action `json:"examples"`
}

// Removals is how many sessions, streams and names would go.
func (n NextCleanup) Removals() int64 { return n.Expire + n.Retire + n.Drop }

// Actions is how many actions there would be of all kinds.
func (n NextCleanup) Actions() int64 { return n.Removals() + n.Abandon + n.Restore }

// Action is one action of a clean-up.
type Action struct {
	Action  string `json:"action"`
	Session string `json:"session,omitempty"`
	Stream  string `json:"stream,omitempty"`
	Reason  string `json:"reason"`
}

// Removals are the last entries of the history, whichever replica left them.
type Removals struct {
	// Recorded: there is a history. Error is why it cannot be read, empty if it can.
	Recorded bool   `json:"recorded"`
	Error    string `json:"error,omitempty"`
	// Last are the newest, the newest first.
	Last []Removal `json:"last"`
}

// Removal is one entry of the history.
type Removal struct {
	Time   time.Time `json:"time"`
	Action string    `json:"action"`
	// Name of a session, or of a stream, as Stream says; empty for a gap, which stands
	// for so many Missing removals.
	Name     string `json:"name,omitempty"`
	Stream   bool   `json:"stream"`
	Missing  int64  `json:"missing,omitempty"`
	Reason   string `json:"reason"`
	Instance string `json:"instance"`
}

// Link leads to the page of a stream, empty for what is none.
func (r Removal) Link() string {
	if !r.Stream {
		return ""
	}
	return linkOf(r.Name)
}

// Doctor is what a glance at Redis, the streams and our own keys has found, after
// the last clean-up.
type Doctor struct {
	// Examined is when, zero if it was not here.
	Examined time.Time `json:"examined,omitzero"`
	// Findings are the warnings and errors.
	Findings []Finding `json:"findings"`
}

// Finding is what one check says.
type Finding struct {
	Check string `json:"check"`
	// Severity is `warning` or `error`.
	Severity string `json:"severity"`
	Text     string `json:"finding"`
	Remedy   string `json:"remedy"`
	// Examples are some of what it is about.
	Examples []string `json:"examples"`
}

// Error is something that went wrong.
type Error struct {
	Time time.Time `json:"time"`
	// Source is the job, or the part, that had it.
	Source string `json:"source"`
	Text   string `json:"text"`
	// Count is how often in a row.
	Count int `json:"count"`
}

// withoutNull makes every list one, so that JSON never has null for it.
func (s Status) withoutNull() Status {
	s.Jobs = append([]Job{}, s.Jobs...)
	s.Pauses = append([]Pause{}, s.Pauses...)
	s.Streams.Largest = append([]Stream{}, s.Streams.Largest...)
	s.NextCleanup.Examples = append([]Action{}, s.NextCleanup.Examples...)
	s.Errors = append([]Error{}, s.Errors...)
	s.Doctor.Findings = append([]Finding{}, s.Doctor.Findings...)
	s.Removals.Last = append([]Removal{}, s.Removals.Last...)
	return s
}
