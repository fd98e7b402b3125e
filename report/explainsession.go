package report

import (
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/explain"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

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
	Next       string `json:"next"`
	NextReason string `json:"next_reason"`
	// Messages says whether its messages arrive, and LastMessage when the last came.
	Messages    string     `json:"messages,omitempty"`
	LastMessage *time.Time `json:"last_message,omitempty"`
	// ExpiresAt and AbandonedAt are for one that is not updated any more and sends
	// nothing.
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	// Undo: it is gone, and undo can put it back, until UndoUntil; without that, until
	// the next clean-up. ExpiredAt is when it went, if there is a copy of it.
	Undo        bool       `json:"undo,omitempty"`
	UndoUntil   *time.Time `json:"undo_until,omitempty"`
	ExpiredAt   *time.Time `json:"expired_at,omitempty"`
	AbandonedAt *time.Time `json:"abandoned_at,omitempty"`
	// Others: its stream is left to others.
	Others bool `json:"others,omitempty"`
	// History is what was done to a session of that name.
	History        []Removal `json:"history"`
	HistoryMore    int64     `json:"history_more,omitempty"`
	HistoryTrouble string    `json:"history_error,omitempty"`
}

// AddSession adds what there is to say of a session.
func (x *Explanations) AddSession(s explain.Session, r explain.Result) {
	x.Sessions = append(x.Sessions, explainedSession(s, r))
}

// nothing is what a clean-up does to a session that stays as it is.
const nothing = "nothing"

const cleanupOff = "clean-up is off (CLEANUP_ENABLED is false)"

func explainedSession(s explain.Session, r explain.Result) ExplainedSession {
	e := ExplainedSession{
		Session: buffer.Escape(s.Identity), Layout: string(s.Layout), Stream: buffer.Escape(s.Stream), ID: buffer.Escape(s.ID), State: string(s.State), Reason: s.Reason,
		JSONState: s.JSONState, Next: nothing,
	}
	if !s.Updated.IsZero() && s.State != cleanup.Malformed {
		e.Updated, e.Age = timeOf(s.Updated), r.Now.Sub(s.Updated).Seconds()
	}
	e.History, e.HistoryMore = removalsOf(s.Past)
	e.HistoryTrouble = r.Record.Trouble
	switch {
	case s.Gone:
		e.State, e.NextReason, e.Others = "gone", "it is not there", s.Others
		e.Undo, e.UndoUntil, e.ExpiredAt = s.Copied, timeOf(s.CopiedUntil), timeOf(s.Expired)
	case s.Others:
		e.Others, e.State, e.NextReason = true, "others", othersReason
	case s.Action != nil && r.CleanupOff:
		e.NextReason = cleanupOff + "; else " + string(s.Action.Kind) + ": " + s.Action.Reason
	case s.Action != nil && s.Action.Kind == cleanup.Expire && r.Brake != "":
		e.NextReason = guarded(r)
	case s.Action != nil:
		e.Next, e.NextReason = string(s.Action.Kind), s.Action.Reason
	default:
		e.NextReason = staysBecause(s, r)
	}
	if s.Outlook != nil {
		e.expects(s, r)
	}
	return e
}

// staysBecause says why the next clean-up does nothing to a session.
func staysBecause(s explain.Session, r explain.Result) string {
	reason := s.Reason
	if s.State == cleanup.Live {
		switch {
		case r.CleanupOff:
			return cleanupOff
		case reason == "":
			reason = "updated " + ago(r.Now.Sub(s.Updated)) + " (limit " + human.Duration(r.Limits.ExpireAfter) + ")"
		}
	}
	if s.Held != "" {
		reason += "; it is due to be marked as abandoned, but " + s.Held
	}
	return reason
}

// expects says whether messages of a session arrive, and what becomes of it if no more
// do.
func (e *ExplainedSession) expects(s explain.Session, r explain.Result) {
	o := s.Outlook
	switch {
	case o.Ignored && (s.Stream == "" || s.ID == ""):
		e.Messages = "none can be told: it names no stream, or has no id"
	case o.Ignored:
		e.Messages = "do not count (CLEANUP_FLOWING is false)"
	case o.Unknown:
		e.Messages = "not known: they could not be looked at"
	case o.Another:
		e.Messages = "those with its id count for another session, which names the same stream and id and has a newer time"
	case o.Timeless:
		e.Messages = "their ids are no times: it stays as long as its stream holds one"
	case o.Newest.IsZero():
		e.Messages = "none was found within " + human.Duration(max(r.Limits.ExpireAfter, r.Limits.AbandonAfter))
	default:
		e.Messages, e.LastMessage = "the last came "+ago(r.Now.Sub(o.Newest)), timeOf(o.Newest)
		if s.State == cleanup.Flowing {
			e.Messages += "; its producer must update lastUpdated"
		}
	}
	if r.CleanupOff {
		return
	}
	e.ExpiresAt = timeOf(o.Expires)
	if s.Action == nil {
		e.AbandonedAt = timeOf(o.Abandoned)
	}
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

// next is what the next clean-up does to the session, and why not if it would but for
// something; nothing where its state says it.
func (e *ExplainedSession) next() string {
	switch {
	case e.Next != nothing:
		return "; next clean-up: " + e.Next
	case e.State == string(cleanup.Stale) && e.NextReason != e.Reason:
		return "; next clean-up: " + e.Next + ", " + e.NextReason
	}
	return ""
}

func (e *ExplainedSession) write(p *printer) {
	p.line("session %s", named(e.Session))
	all := new(facts)
	e.says(all)
	all.saysHistory(e.History, e.HistoryMore, e.HistoryTrouble)
	p.facts(*all)
}

func (e *ExplainedSession) says(f *facts) {
	if e.State == "gone" {
		e.saysGone(f)
		return
	}
	f.says("entry", "in the layout %s", e.Layout)
	if e.Others {
		f.says("stream", "%s", named(e.Stream))
		f.says("clean-up", "%s: %s", e.Next, e.NextReason)
		return
	}
	if e.Stream != "" {
		f.says("stream", "%s, with the id %s", named(e.Stream), orNone(e.ID))
	}
	f.says("state", "%s", e.summary())
	if e.JSONState != "" {
		f.says("json", "its Session JSON says %s", e.JSONState)
	}
	if e.Messages != "" {
		f.says("messages", "%s", e.Messages)
	}
	f.says("clean-up", "%s: %s", e.Next, e.NextReason)
	if e.ExpiresAt != nil {
		f.says("expires", "%s, if it is not updated and sends nothing", e.ExpiresAt.Format(time.DateTime+" MST"))
	}
	if e.AbandonedAt != nil {
		f.says("abandoned", "%s, likewise", e.AbandonedAt.Format(time.DateTime+" MST"))
	}
}

// saysGone says of a session that is gone whether it can be put back.
func (e *ExplainedSession) saysGone(f *facts) {
	if e.ExpiredAt == nil {
		f.says("entry", "none: it is gone")
		if e.HistoryTrouble == "" { // else nobody may know
			f.says("undo", "cannot put it back: there is no copy of it")
		}
		return
	}
	f.says("entry", "none: it is gone, expired at %s", e.ExpiredAt.Format(time.DateTime+" MST"))
	if e.Stream != "" {
		f.says("stream", "%s", named(e.Stream))
	}
	switch {
	case e.Others:
		f.says("undo", "does not put it back: %s", othersReason)
	case e.UndoUntil != nil:
		f.says("undo", "can put it back until %s", e.UndoUntil.Format(time.DateTime+" MST"))
	default:
		f.says("undo", "can put it back until the next clean-up, which removes its copy")
	}
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}
