package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/human"
)

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
	if e.Others {
		p.says("clean-up", "%s: %s", e.Fate, e.FateReason)
		return
	}
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
	p.says("next trim", "%s", e.nextTrim())
	for _, protection := range e.Protected {
		p.says("protected", "%s over a limit: %s", plural(protection.Entries, "entry"), protection.Reason)
	}
	if len(e.Trims) > 0 {
		p.says("trimmed", "%s", e.Trims[0].sentence())
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
	p.saysHistory(e.History, e.HistoryMore, e.HistoryTrouble)
	if e.At != nil {
		e.At.write(p)
	}
}

// nextTrim says what the next trim does.
func (e *ExplainedStream) nextTrim() string {
	switch {
	case e.Type == "none":
		return "nothing: its key is not there"
	case e.Type != "stream":
		return "nothing: its key is a " + e.Type + ", no stream"
	case !e.Listed:
		return "nothing: the set of streams does not list it"
	case e.Trim.Off && e.Trim.Reason != "":
		return "nothing: trimming is off (TRIM_ENABLED is false); else: " + e.Trim.Reason
	case e.Trim.Off:
		return "nothing: trimming is off (TRIM_ENABLED is false)"
	case e.Trim.Entries > 0:
		return fmt.Sprintf("removes %s%s: %s", about(e.Trim.Estimated), plural(e.Trim.Entries, "entry"), e.Trim.Reason)
	case len(e.Protected) > 0:
		return "nothing: " + e.Trim.Reason
	}
	return "nothing: it is within its limits"
}

// saysHistory writes what was removed, the newest first.
func (p *printer) saysHistory(removals []Removal, more int64, trouble string) {
	for _, r := range removals {
		p.says("history", "%s %s: %s, by %s", r.Time.Format(time.DateTime), r.Action, r.Reason, r.Instance)
	}
	if more > 0 {
		p.says("history", "and %s more", human.Count(more))
	}
	if trouble != "" {
		p.says("history", "not known: %s", trouble)
	}
}

func (at *ExplainedAt) write(p *printer) {
	p.says("data of", "%s to %s", at.From.Format(time.DateTime), at.To.Format(time.DateTime+" MST"))
	p.says("removed", "%s: %s", at.Removed, at.Reason)
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
	defer func() { p.saysHistory(e.History, e.HistoryMore, e.HistoryTrouble) }()
	if e.State == "gone" {
		p.says("entry", "none: it is gone")
		if e.UndoUntil != nil {
			p.says("undo", "puts it back until %s", e.UndoUntil.Format(time.DateTime+" MST"))
		}
		return
	}
	p.says("entry", "in the layout %s", e.Layout)
	if e.Others {
		p.says("stream", "%s", named(e.Stream))
		p.says("clean-up", "%s: %s", e.Next, e.NextReason)
		return
	}
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
