package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/explain"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// Explanations are what explain says.
type Explanations struct {
	Redis    Redis              `json:"redis"`
	Streams  []ExplainedStream  `json:"streams"`
	Sessions []ExplainedSession `json:"sessions"`
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

	Entries        int64      `json:"entries"`
	Bytes          int64      `json:"bytes"`
	BytesEstimated bool       `json:"bytes_estimated"`
	MacroNodes     int64      `json:"macro_nodes"`
	Oldest         *time.Time `json:"oldest,omitempty"`
	Newest         *time.Time `json:"newest,omitempty"`
	LastID         string     `json:"last_id"`
	Coverage       float64    `json:"coverage_seconds"`
	Rate           float64    `json:"rate"`

	Trim struct {
		Entries   int64  `json:"entries"`
		Estimated bool   `json:"estimated"`
		Reason    string `json:"reason"`
	} `json:"trim"`
	Protected []Protection `json:"protected"`

	Groups   []ExplainedGroup   `json:"groups"`
	Named    int64              `json:"sessions_naming_it"`
	Sessions []ExplainedSession `json:"sessions"`

	Fate       string     `json:"fate"`
	FateReason string     `json:"fate_reason"`
	RetiresAt  *time.Time `json:"retires_at,omitempty"`
	RetiredAt  *time.Time `json:"retired_at,omitempty"`
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
}

// ExplainedSession is what explain says of a session.
type ExplainedSession struct {
	Session   string     `json:"session"`
	Layout    string     `json:"layout"`
	Stream    string     `json:"stream,omitempty"`
	ID        string     `json:"streamSessionId,omitempty"`
	Updated   *time.Time `json:"updated,omitempty"`
	Age       float64    `json:"age_seconds"`
	State     string     `json:"state"`
	Reason    string     `json:"reason"`
	JSONState string     `json:"json_state,omitempty"`
	// Next is what the next clean-up does: expire, abandon or nothing.
	Next        string     `json:"next"`
	NextReason  string     `json:"next_reason"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty"`
	AbandonedAt *time.Time `json:"abandoned_at,omitempty"`
}

// AddStream adds what there is to say of a stream.
func (x *Explanations) AddStream(s *explain.Stream, r explain.Result) {
	e := ExplainedStream{
		Stream: buffer.Escape(s.Name), Listed: s.Listed, Others: s.Others, Type: s.Info.Type, Policy: s.Policy.String(), Rule: s.Rule,
		Entries: s.Info.Length, Bytes: s.Memory.Bytes, BytesEstimated: s.Memory.Estimated, MacroNodes: s.Info.Nodes, LastID: s.Info.LastID.String(),
		Protected: []Protection{}, Groups: []ExplainedGroup{}, Sessions: []ExplainedSession{}, Named: s.Named, RetiredAt: timeOf(s.RetiredAt),
	}
	if s.Info.Length > 0 && s.Info.First.IsTime(r.Now) && s.Info.Newest.IsTime(r.Now) {
		e.Oldest, e.Newest = timeOf(s.Info.First.Time()), timeOf(s.Info.Newest.Time())
		e.Coverage = s.Info.Newest.Time().Sub(s.Info.First.Time()).Seconds()
		if e.Coverage > 0 {
			e.Rate = float64(s.Info.Length) / e.Coverage
		}
	}
	e.Trim.Entries, e.Trim.Estimated = s.Cut.Entries, s.Cut.Estimated
	if len(s.Cut.Steps) > 0 {
		e.Trim.Reason = s.Cut.Reason()
	}
	for _, p := range s.Cut.Protected {
		e.Protected = append(e.Protected, NewProtection(s.Name, p, s.Cut.Estimated))
	}
	for _, g := range s.Groups {
		e.Groups = append(e.Groups, ExplainedGroup{buffer.Escape(g.Name), g.Consumers, g.Pending, g.Delivered.String(), g.Behind, g.Active.Seconds()})
	}
	for _, session := range s.Sessions {
		e.Sessions = append(e.Sessions, explainedSession(session, r))
	}
	e.Fate, e.FateReason, e.RetiresAt = fateOf(s, r)
	x.Streams = append(x.Streams, e)
}

// AddSession adds what there is to say of a session.
func (x *Explanations) AddSession(s explain.Session, r explain.Result) {
	x.Sessions = append(x.Sessions, explainedSession(s, r))
}

func timeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

const othersReason = "STREAMS_INCLUDE and STREAMS_EXCLUDE leave it to others"

// fateOf says what clean-up does with a stream, why, and when it retires if nothing
// comes any more.
func fateOf(s *explain.Stream, r explain.Result) (fate, reason string, at *time.Time) {
	if s.Others {
		return "stays", othersReason, nil
	}
	if s.Info.Type == "none" && !s.Listed {
		if s.RetiredAt.IsZero() {
			return "gone", "there is no key, and the set does not list it", nil
		}
		return "retired", "retired by streamkeeper " + ago(r.Now.Sub(s.RetiredAt)), nil
	}
	if s.Fate == nil {
		return "stays", withSessions(s), nil
	}
	due := time.Time{}
	if !s.Info.LastID.IsZero() && s.Info.LastID.IsTime(r.Now) {
		due = s.Info.LastID.Time().Add(r.Limits.RetireAfter)
	}
	switch s.Fate.Fate {
	case cleanup.Retirable, cleanup.Droppable:
		fate = string(cleanup.Retire)
		if s.Fate.Fate == cleanup.Droppable {
			fate = string(cleanup.DropName)
		}
		if r.Brake != "" {
			return "stays", "the mass-deletion guard stops the clean-up: " + r.Brake, nil
		}
		return fate, s.Fate.Reason, nil
	case cleanup.Watch:
		seen := "first seen so now"
		if !s.Fate.Sighted.IsZero() {
			seen = "first seen so " + ago(r.Now.Sub(s.Fate.Sighted))
		}
		return "stays", fmt.Sprintf("no session names it, and it has no entry: %s (limit %s)", seen, human.Duration(r.Limits.RetireAfter)), nil
	case cleanup.WrongType:
		return "stays", "its key is a " + s.Info.Type + ", no stream", nil
	case cleanup.WrongID:
		return "stays", "its last id is no time", nil
	case cleanup.Unknown:
		return "stays", "it could not be asked", nil
	case cleanup.Keep:
	}
	if s.Fate.Reason != "" {
		return "stays", s.Fate.Reason, nil
	}
	if !due.IsZero() && due.After(r.Now) {
		return "stays", fmt.Sprintf("no session names it; its last entry came %s (limit %s)", ago(r.Now.Sub(s.Info.LastID.Time())), human.Duration(r.Limits.RetireAfter)), timeOf(due)
	}
	return "stays", "no session names it; a consumer group may be active", nil
}

func withSessions(s *explain.Stream) string {
	switch {
	case s.Named == 1:
		return "a session names it"
	case s.Named > 0:
		return plural(s.Named, "session") + " name it"
	case !s.Listed:
		return "the set of streams does not list it: it is neither trimmed nor retired"
	}
	return "a session that cannot be read may name it"
}

func explainedSession(s explain.Session, r explain.Result) ExplainedSession {
	e := ExplainedSession{
		Session: buffer.Escape(s.Identity), Layout: string(s.Layout), Stream: buffer.Escape(s.Stream), ID: buffer.Escape(s.ID), State: string(s.State), Reason: s.Reason,
		JSONState: s.JSONState, Next: "nothing",
	}
	if !s.Updated.IsZero() && s.State != cleanup.Malformed {
		e.Updated, e.Age = timeOf(s.Updated), r.Now.Sub(s.Updated).Seconds()
	}
	switch {
	case s.Action != nil && r.Brake != "":
		e.NextReason = "the mass-deletion guard stops the clean-up: " + r.Brake
	case s.Action != nil:
		e.Next, e.NextReason = string(s.Action.Kind), s.Action.Reason
	case s.State == cleanup.Live:
		e.NextReason = "updated " + ago(r.Now.Sub(s.Updated)) + " (limit " + human.Duration(r.Limits.ExpireAfter) + ")"
		e.ExpiresAt = timeOf(s.Updated.Add(r.Limits.ExpireAfter))
		if limit := r.Limits.AbandonAfter; limit > 0 && (s.JSONState == "open" || s.JSONState == "waiting") {
			e.AbandonedAt = timeOf(s.Updated.Add(limit))
		}
	default:
		e.NextReason = s.Reason
	}
	return e
}

func ago(d time.Duration) string { return human.Duration(max(0, d)) + " ago" }

// WriteExplanations writes what explain says.
func WriteExplanations(w io.Writer, f Format, x Explanations) error {
	if x.Streams == nil {
		x.Streams = []ExplainedStream{}
	}
	if x.Sessions == nil {
		x.Sessions = []ExplainedSession{}
	}
	if f == JSON {
		return writeJSON(w, x)
	}
	p := &printer{w: w}
	for i := range x.Streams {
		if i > 0 {
			p.line("")
		}
		x.Streams[i].write(p)
	}
	for i := range x.Sessions {
		if i > 0 || len(x.Streams) > 0 {
			p.line("")
		}
		x.Sessions[i].write(p)
	}
	return p.err
}

// says writes a fact below its name.
func (p *printer) says(name, format string, args ...any) {
	p.wrapped(fmt.Sprintf("  %-10s ", name), strings.Repeat(" ", 13), fmt.Sprintf(format, args...))
}

func (e *ExplainedStream) write(p *printer) {
	p.line("stream %s", named(e.Stream))
	rule := "the global settings"
	if e.Rule != "" {
		rule = "the rule for " + e.Rule
	}
	p.says("policy", "%s (%s)", e.Policy, rule)
	switch e.Type {
	case "stream":
		p.says("holds", "%s in %s, %s%s", plural(e.Entries, "entry"), plural(e.MacroNodes, "macro node"), about(e.BytesEstimated), human.Bytes(e.Bytes))
		if e.Oldest != nil {
			p.says("covers", "%s, from %s to %s; %.1f/s", human.Duration(time.Duration(e.Coverage*float64(time.Second))), e.Oldest.Format(time.DateTime), e.Newest.Format(time.DateTime+" MST"), e.Rate)
		} else {
			p.says("last id", "%s", e.LastID)
		}
	case "none":
		p.says("holds", "nothing: its key is not there")
	default:
		p.says("holds", "nothing: its key is a %s", e.Type)
	}
	switch {
	case e.Others:
		p.says("next trim", "nothing: %s", othersReason)
	case !e.Listed:
		p.says("next trim", "nothing: the set of streams does not list it")
	case e.Trim.Entries > 0:
		p.says("next trim", "removes %s%s: %s", about(e.Trim.Estimated), plural(e.Trim.Entries, "entry"), e.Trim.Reason)
	case len(e.Protected) > 0:
		p.says("next trim", "nothing: %s", e.Trim.Reason)
	default:
		p.says("next trim", "nothing: it is within its limits")
	}
	for _, protection := range e.Protected {
		p.says("protected", "%s over a limit: %s", plural(protection.Entries, "entry"), protection.Reason)
	}
	for _, g := range e.Groups {
		text := fmt.Sprintf("group %s: %s, %s pending", named(g.Group), plural(g.Consumers, "consumer"), human.Count(g.Pending))
		if g.Lag >= 0 {
			text += fmt.Sprintf(", %s behind", human.Count(g.Lag))
		}
		if g.ActiveAgo >= 0 {
			text += ", active " + ago(time.Duration(g.ActiveAgo*float64(time.Second)))
		}
		p.says("consumers", "%s", text)
	}
	for i := range e.Sessions {
		s := &e.Sessions[i]
		p.says("session", "%s (%s): %s", named(s.Session), s.Layout, s.summary())
	}
	if more := e.Named - int64(len(e.Sessions)); more > 0 {
		p.says("session", "and %s more", human.Count(more))
	}
	p.says("clean-up", "%s: %s", e.Fate, e.FateReason)
	if e.RetiresAt != nil {
		p.says("retires", "%s, if nothing comes any more", e.RetiresAt.Format(time.DateTime+" MST"))
	}
}

// about goes before a number that is estimated.
func about(estimated bool) string {
	if estimated {
		return "about "
	}
	return ""
}

// summary is the session in a line.
func (e *ExplainedSession) summary() string {
	text := e.State
	switch {
	case e.Reason != "":
		text += ", " + e.Reason
	case e.Updated != nil:
		text += ", updated " + ago(time.Duration(e.Age*float64(time.Second)))
	}
	return text
}

func (e *ExplainedSession) write(p *printer) {
	p.line("session %s", named(e.Session))
	p.says("entry", "in the layout %s", e.Layout)
	if e.Stream != "" {
		p.says("stream", "%s, with the id %s", named(e.Stream), orNone(e.ID))
	}
	p.says("state", "%s", e.summary())
	if e.JSONState != "" {
		p.says("json", "its Session JSON says %s", e.JSONState)
	}
	p.says("clean-up", "%s: %s", e.Next, e.NextReason)
	if e.ExpiresAt != nil {
		p.says("expires", "%s, if it is not updated and sends nothing", e.ExpiresAt.Format(time.DateTime+" MST"))
	}
	if e.AbandonedAt != nil {
		p.says("abandoned", "%s, likewise", e.AbandonedAt.Format(time.DateTime+" MST"))
	}
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}
