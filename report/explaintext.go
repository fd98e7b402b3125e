package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/explain"
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
	if len(x.Paused) > 0 {
		p.line("")
		p.pauses(x.Paused)
	}
	return p.err
}

// Fact is one thing that is said of a stream or a session.
type Fact struct{ Name, Text string }

// The names of facts of which there may be many.
const (
	FactSession = "session"
	FactHistory = "history"
)

// facts are what is said, in its order.
type facts []Fact

func (f *facts) says(name, format string, args ...any) {
	*f = append(*f, Fact{name, fmt.Sprintf(format, args...)})
}

// facts writes each below its name.
func (p *printer) facts(all []Fact) {
	for _, f := range all {
		p.wrapped(fmt.Sprintf("  %-10s ", f.Name), strings.Repeat(" ", 13), f.Text)
	}
}

func (e *ExplainedStream) write(p *printer) {
	p.line("stream %s", named(e.Stream))
	p.facts(e.Facts())
}

// Facts are what explain says of a stream, the page too.
func (e *ExplainedStream) Facts() []Fact {
	f := new(facts)
	if e.Others {
		f.says("clean-up", "%s: %s", e.Fate, e.FateReason)
		return *f
	}
	rule := "the global settings"
	if e.Rule != "" {
		rule = "the rule for " + e.Rule
	}
	f.says("policy", "%s (%s)", e.Policy, rule)
	switch e.Type {
	case "stream":
		in := ""
		if e.MacroNodes > 0 { // not known of the demo's Redis
			in = " in " + plural(e.MacroNodes, "macro node")
		}
		f.says("holds", "%s%s, %s%s", plural(e.Entries, "entry"), in, e.size(), e.groupSize())
		if e.Oldest != nil {
			f.says("covers", "%s, from %s to %s; %.1f/s", human.Duration(time.Duration(e.Coverage*float64(time.Second))), e.Oldest.Format(time.DateTime), e.Newest.Format(time.DateTime+" MST"), e.Rate)
		} else {
			f.says("last id", "%s", e.LastID)
		}
	case "none":
		f.says("holds", "nothing: its key is not there")
	default:
		f.says("holds", "nothing: its key is a %s", e.Type)
	}
	f.says("next trim", "%s", e.nextTrim())
	for _, protection := range e.Protected {
		f.says("protected", "%s over a limit: %s", plural(protection.Entries, "entry"), protection.Reason)
	}
	if len(e.Trims) > 0 {
		f.says("trimmed", "%s", e.Trims[0].sentence())
	}
	for i := range e.Groups {
		f.says("consumers", "%s", e.Groups[i].sentence())
	}
	for i := range e.Sessions {
		s := &e.Sessions[i]
		f.says(FactSession, "%s (%s): %s", named(s.Session), s.Layout, s.summary()+s.next())
	}
	if more := e.Named - int64(len(e.Sessions)); more > 0 {
		f.says(FactSession, "and %s more", human.Count(more))
	}
	f.says("clean-up", "%s: %s", e.Fate, e.FateReason)
	if e.RetiresAt != nil {
		f.says("retires", "%s, if nothing comes any more", e.RetiresAt.Format(time.DateTime+" MST"))
	}
	f.saysHistory(e.History, e.HistoryMore, e.HistoryTrouble)
	if e.At != nil {
		e.At.says(f)
	}
	return *f
}

// size is what the entries take in memory.
func (e *ExplainedStream) size() string {
	if e.Bytes == 0 && e.Entries > 0 {
		return "their memory is not known"
	}
	return about(e.BytesEstimated) + human.Bytes(e.Bytes)
}

// groupSize is what consumer groups take beside the entries.
func (e *ExplainedStream) groupSize() string {
	if len(e.Groups) == 0 {
		return ""
	}
	return "; consumer groups take about " + human.Bytes(e.GroupBytes) + " more"
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
	}
	more := ""
	if e.mayLoseMore {
		more = "; memory pressure may take more (TRIM_PRESSURE)"
	}
	switch {
	case e.Trim.Entries > 0:
		return fmt.Sprintf("removes %s%s: %s", about(e.Trim.Estimated), plural(e.Trim.Entries, "entry"), e.Trim.Reason) + more
	case len(e.Protected) > 0:
		return "nothing: " + e.Trim.Reason + more
	}
	return "nothing: it is within its limits" + more
}

// saysHistory writes what was removed, the newest first.
func (f *facts) saysHistory(removals []Removal, more int64, trouble string) {
	for _, r := range removals {
		f.says(FactHistory, "%s %s: %s, by %s", r.Time.Format(time.DateTime), r.Action, r.Reason, r.Instance)
	}
	if more > 0 {
		f.says(FactHistory, "and %s more", human.Count(more))
	}
	if trouble != "" {
		f.says(FactHistory, "not known: %s", trouble)
	}
}

func (at *ExplainedAt) says(f *facts) {
	f.says("data of", "%s to %s", at.From.Format(time.DateTime), at.To.Format(time.DateTime+" MST"))
	removed := at.Removed
	if removed == string(explain.ByOthers) {
		removed = "by others, not by streamkeeper"
	}
	f.says("removed", "%s: %s", removed, at.Reason)
}

// about goes before a number that is estimated.
func about(estimated bool) string {
	if estimated {
		return "about "
	}
	return ""
}

func (g *ExplainedGroup) sentence() string {
	text := fmt.Sprintf("group %s: %s, %s pending, about %s", named(g.Group), plural(g.Consumers, "consumer"), human.Count(g.Pending), human.Bytes(g.Bytes))
	if g.Lag >= 0 {
		text += fmt.Sprintf(", %s behind", human.Count(g.Lag))
	}
	if g.ActiveAgo >= 0 {
		text += ", active " + ago(time.Duration(g.ActiveAgo*float64(time.Second)))
	}
	if since := g.WithoutConsumersSince; since != nil {
		text += ", first seen without consumers " + since.Format(time.DateTime+" MST")
	}
	return text
}
