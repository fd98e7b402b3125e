package report

import (
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/explain"
)

// Explanations are what explain says.
type Explanations struct {
	Redis    Redis              `json:"redis"`
	Streams  []ExplainedStream  `json:"streams"`
	Sessions []ExplainedSession `json:"sessions"`
	// Paused are the pauses that hold for the streams that are shown.
	Paused []Pause `json:"paused,omitempty"`
}

// ExplainedStream is what explain says of a stream. Times are RFC 3339, durations
// in seconds.
type ExplainedStream struct {
	Stream string `json:"stream"`
	Listed bool   `json:"listed"`
	// Others: the patterns leave it to others.
	Others bool   `json:"others,omitempty"`
	Type   string `json:"type"`
	Policy string `json:"policy"`
	Rule   string `json:"rule,omitempty"`

	Entries        int64 `json:"entries"`
	Bytes          int64 `json:"bytes"`
	BytesEstimated bool  `json:"bytes_estimated"`
	// GroupBytes is about what consumer groups take beside the entries.
	GroupBytes int64      `json:"group_bytes"`
	MacroNodes int64      `json:"macro_nodes"`
	Oldest     *time.Time `json:"oldest,omitempty"`
	Newest     *time.Time `json:"newest,omitempty"`
	LastID     string     `json:"last_id"`
	Coverage   float64    `json:"coverage_seconds"`
	Rate       float64    `json:"rate"`

	// Trim is what the next trim does; Off says that there is none.
	Trim struct {
		Entries   int64  `json:"entries"`
		Estimated bool   `json:"estimated"`
		Reason    string `json:"reason"`
		Off       bool   `json:"off,omitempty"`
	} `json:"trim"`
	Protected []Protection `json:"protected"`

	Groups   []ExplainedGroup   `json:"groups"`
	Named    int64              `json:"sessions_naming_it"`
	Sessions []ExplainedSession `json:"sessions"`

	Fate       string     `json:"fate"`
	FateReason string     `json:"fate_reason"`
	RetiresAt  *time.Time `json:"retires_at,omitempty"`
	RetiredAt  *time.Time `json:"retired_at,omitempty"`

	// Trims are what was trimmed in the last 48 hours, by the hour; History is what
	// else was done to it, and HistoryTrouble why that is not known.
	Trims          []TrimSum    `json:"trims"`
	History        []Removal    `json:"history"`
	HistoryMore    int64        `json:"history_more,omitempty"`
	HistoryTrouble string       `json:"history_error,omitempty"`
	At             *ExplainedAt `json:"at,omitempty"`

	mayLoseMore bool
}

// ExplainedAt is what became of the data of a time.
type ExplainedAt struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Removed is one of: yes; yes, or by others; no, by others; not by us; no; not
	// known.
	Removed string `json:"removed"`
	Reason  string `json:"reason"`
	// Entries are those of that time that are there, at least so many with More.
	Entries int64     `json:"entries"`
	More    bool      `json:"entries_more,omitempty"`
	Trims   []TrimSum `json:"trims"`
	Retired *Removal  `json:"retired,omitempty"`
}

// ExplainedGroup is a consumer group of a stream.
type ExplainedGroup struct {
	Group     string `json:"group"`
	Consumers int64  `json:"consumers"`
	Pending   int64  `json:"pending"`
	Delivered string `json:"last_delivered_id"`
	// Lag is negative where Redis does not say it, ActiveAgo, in seconds, where
	// there is no consumer.
	Lag       int64   `json:"lag"`
	ActiveAgo float64 `json:"active_seconds_ago"`
	// Bytes is about what the group takes beside the entries.
	Bytes int64 `json:"bytes"`
	// WithoutConsumersSince is when it was first seen so; a clean-up, or trimming that
	// respects groups, notes it.
	WithoutConsumersSince *time.Time `json:"without_consumers_since,omitempty"`
}

// AddStream adds what there is to say of a stream.
func (x *Explanations) AddStream(s *explain.Stream, r explain.Result) {
	e := ExplainedStream{
		Stream: buffer.Escape(s.Name), Listed: s.Listed, Others: s.Others, Type: s.Info.Type, Policy: s.Policy.String(), Rule: s.Rule,
		Entries: s.Info.Length, Bytes: s.Memory.Bytes, BytesEstimated: s.Memory.Estimated, GroupBytes: s.Info.Groups.Memory(), MacroNodes: s.Info.Nodes, LastID: s.Info.LastID.String(),
		Protected: []Protection{}, Groups: []ExplainedGroup{}, Sessions: []ExplainedSession{}, Named: s.Named, RetiredAt: retiredAt(s),
	}
	if s.Others {
		e.Policy = ""
	}
	if s.Info.Length > 0 && s.Info.First.IsTime(r.Now) && s.Info.Newest.IsTime(r.Now) {
		e.Oldest, e.Newest = timeOf(s.Info.First.Time()), timeOf(s.Info.Newest.Time())
		e.Coverage = s.Info.Newest.Time().Sub(s.Info.First.Time()).Seconds()
		if e.Coverage > 0 {
			e.Rate = max(s.Flow, float64(s.Info.Length)/e.Coverage)
		}
	}
	e.Trim.Entries, e.Trim.Estimated, e.mayLoseMore = s.Cut.Entries, s.Cut.Estimated, s.MayLoseMore
	if e.Trim.Off = r.TrimOff; e.Trim.Off {
		e.Trim.Entries, e.Trim.Estimated = 0, false
	}
	if len(s.Cut.Steps) > 0 {
		e.Trim.Reason = s.Cut.Reason()
	}
	for _, p := range s.Cut.Protected {
		e.Protected = append(e.Protected, NewProtection(s.Name, p, s.Cut.Estimated))
	}
	for _, g := range s.Groups {
		explained := ExplainedGroup{buffer.Escape(g.Name), g.Consumers, g.Pending, g.Delivered.String(), g.Behind, g.Active.Seconds(), g.Memory(), nil}
		if g.Consumers == 0 {
			explained.WithoutConsumersSince = timeOf(s.WithoutConsumers[g.Name])
		}
		e.Groups = append(e.Groups, explained)
	}
	for _, session := range s.Sessions {
		e.Sessions = append(e.Sessions, explainedSession(session, r))
	}
	e.Fate, e.FateReason, e.RetiresAt = fateOf(s, r)
	e.Trims = trimSums(s.Trims)
	e.History, e.HistoryMore = removalsOf(s.Past)
	e.HistoryTrouble = r.Record.Trouble
	if s.At != nil {
		e.At = explainedAt(s.At)
	}
	x.Streams = append(x.Streams, e)
}

func trimSums(sums []buffer.TrimSum) []TrimSum {
	all := []TrimSum{}
	for _, s := range sums {
		all = append(all, newTrimSum(s))
	}
	return all
}

func removalsOf(p explain.Past) (all []Removal, more int64) {
	all = []Removal{}
	for _, r := range p.Removals {
		all = append(all, NewRemoval(r))
	}
	return all, p.More
}

func explainedAt(at *explain.At) *ExplainedAt {
	e := &ExplainedAt{From: at.From, To: at.To, Removed: string(at.Verdict), Reason: at.Reason, Entries: at.Entries, More: at.More, Trims: trimSums(at.Trims)}
	if at.Retired != nil {
		r := NewRemoval(*at.Retired)
		e.Retired = &r
	}
	return e
}

func timeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
