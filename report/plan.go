package report

import (
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/trim"
)

// Listed is how many actions of each kind a plan lists unless all are asked
// for; the summary counts all.
const Listed = 1000

// Plan is what once trim cleanup would do.
type Plan struct {
	Redis   Redis    `json:"redis"`
	Summary Summary  `json:"summary"`
	Actions []Action `json:"actions"`
	// Failed names what could not be read or judged: the plan says nothing of it.
	Failed []string `json:"failed,omitempty"`
	// Protected are streams that are over a limit, and what protects them.
	Protected []Protection `json:"protected"`

	// Pressure says that streams would keep less as Redis is near its maxmemory, and
	// about what that frees; empty if they would not.
	Pressure string `json:"pressure,omitempty"`

	// Policies says in sentences what is kept.
	Policies []string `json:"-"`
	// UnusedRules are the patterns of rules of the policies that no stream matches.
	UnusedRules []string `json:"unused_rules,omitempty"`
	// Refused is why nothing may be changed here, so that a run would fail; "" if
	// it may.
	Refused string `json:"refused,omitempty"`
	// Chosen says that patterns choose streams: what is not of an action is of all.
	Chosen bool `json:"-"`
	// Job is the one that is planned, "" for both.
	Job string `json:"-"`
	// Disabled are the planned jobs that are off: they are done only by name.
	Disabled []string `json:"disabled,omitempty"`
	// Paused are the pauses that hold, and PausedSessions and PausedStreams how many
	// they keep from clean-up.
	Paused                        []Pause `json:"paused,omitempty"`
	PausedSessions, PausedStreams int64   `json:"-"`
	// Unmatched are the patterns that choose no stream, and NoMatch says so.
	Unmatched []string `json:"unmatched,omitempty"`
	NoMatch   string   `json:"-"`
	// Absence says where the buffer was looked for if nothing was found.
	Absence string `json:"absence,omitempty"`
	all     bool
	counts  map[string]int
	// protected counts what the table shows of Protected, and would if there
	// was room; parts are the streams over a limit by a part of a macro node.
	protected, parts int64
}

// Summary counts what a plan would do.
type Summary struct {
	Streams int64 `json:"streams"`
	// Sessions is nil where they were not read.
	Sessions        *int64 `json:"sessions"`
	TrimStreams     int64  `json:"trim_streams"`
	TrimEntries     int64  `json:"trim_entries"`
	TrimBytes       int64  `json:"trim_bytes"`
	ExpireSessions  int64  `json:"expire_sessions"`
	AbandonSessions int64  `json:"abandon_sessions"`
	RetireStreams   int64  `json:"retire_streams"`
	RestoreStreams  int64  `json:"restore_streams"`
	DropNames       int64  `json:"drop_names"`
	Brake           string `json:"brake"`

	// FlowingSessions are not updated while messages arrive; what is postponed
	// waits for a later run.
	FlowingSessions   int64 `json:"flowing_sessions"`
	PostponedSessions int64 `json:"postponed_sessions"`
	PostponedStreams  int64 `json:"postponed_streams"`
	// BrakeUntil is when the mass-deletion guard releases by itself, zero if never.
	BrakeUntil time.Time `json:"brake_until,omitzero"`
	// Lost says that the set of stream names is empty although nobody cleaned it
	// up.
	Lost string `json:"lost,omitempty"`
}

// Action is one line of a plan. Names are escaped when it is added.
type Action struct {
	Action    string  `json:"action"`
	Session   *string `json:"session,omitempty"`
	Stream    string  `json:"stream"`
	Entries   int64   `json:"entries,omitempty"`
	Bytes     int64   `json:"bytes,omitempty"`
	Estimated bool    `json:"estimated,omitempty"`
	Reason    string  `json:"reason"`
}

// NewPlan makes an empty plan that lists the first [Listed] actions of each
// kind, or all.
func NewPlan(r Redis, all bool) *Plan {
	return &Plan{Redis: r, Actions: []Action{}, Protected: []Protection{}, all: all, counts: make(map[string]int)}
}

// Add takes an action into the list if there is room for it.
func (p *Plan) Add(a Action) {
	p.counts[a.Action]++
	if !p.all && p.counts[a.Action] > Listed {
		return
	}
	a.Stream = buffer.Escape(a.Stream)
	if a.Session != nil {
		escaped := buffer.Escape(*a.Session)
		a.Session = &escaped
	}
	p.Actions = append(p.Actions, a)
}

// Protection is what protects entries of a stream that are over a limit.
type Protection struct {
	Stream  string `json:"stream"`
	By      string `json:"by"`
	Group   string `json:"group,omitempty"`
	Entries int64  `json:"entries"`
	// Estimated: it may be more or less by the entries of a macro node, or as much
	// as the stream did not grow evenly.
	Estimated bool   `json:"estimated,omitempty"`
	Reason    string `json:"reason"`
	// rest: it is only what approximate trimming leaves, and nearly every stream has.
	rest, bytes bool
}

// NewProtection is one of a stream.
func NewProtection(stream string, p trim.Protection, estimated bool) Protection {
	return Protection{
		Stream: buffer.Escape(stream), By: string(p.By), Group: buffer.Escape(p.Group), Entries: p.Entries, Estimated: estimated, Reason: p.Reason(),
		rest: p.IsRest(), bytes: p.MaxBytes > 0,
	}
}

// Protect takes a protection into the list if there is room for it.
func (p *Plan) Protect(protection Protection) {
	switch {
	case !protection.rest:
		p.protected++
	case !protection.bytes:
		p.parts++
	}
	if !p.all && len(p.Protected) >= Listed {
		return
	}
	p.Protected = append(p.Protected, protection)
}
