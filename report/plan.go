package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/escape"
	"github.com/streamkeeper/streamkeeper/internal/human"
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
	// Paused are the pauses that hold, and PausedSessions and PausedStreams how many
	// they keep from clean-up.
	Paused                        []Pause `json:"paused,omitempty"`
	PausedSessions, PausedStreams int64   `json:"-"`
	// Unmatched are the patterns that choose no stream.
	Unmatched []string `json:"unmatched,omitempty"`
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
	Streams         int64  `json:"streams"`
	Sessions        int64  `json:"sessions"`
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

// WritePlan writes a plan.
func WritePlan(w io.Writer, f Format, p *Plan) error {
	if f == JSON {
		return writeJSON(w, p)
	}
	pw := &printer{w: w}
	s := p.Summary
	if s.Streams+s.Sessions == 0 && len(p.Failed) > 0 {
		pw.line("%s: streams and sessions could not be read.", p.Redis)
	} else {
		pw.line("%s: %s, %s.", p.Redis, plural(s.Streams, "stream"), plural(s.Sessions, "session"))
	}
	for _, sentence := range p.Policies {
		pw.line("%s", sentence)
	}
	if len(p.UnusedRules) > 0 {
		pw.line("No stream matches the rule for %s.", strings.Join(p.UnusedRules, ", "))
	}
	p.writeNotes(pw)
	if len(p.Actions) == 0 {
		switch {
		case p.Absence != "":
			pw.line("Nothing found: %s", human.Sentence(p.Absence))
		case len(p.Failed) == 0 && p.protected == 0 && p.PausedSessions+p.PausedStreams == 0:
			pw.line("Nothing to do.")
		}
		p.writeHint(pw)
		return p.writeProtected(pw)
	}
	pw.line("")
	rows := [][]string{{"ACTION", "STREAM OR SESSION", "ENTRIES", "BYTES", "WHY"}}
	for _, a := range p.Actions {
		rows = append(rows, a.row())
	}
	if pw.err == nil {
		pw.err = writeTable(w, dropEmptyColumns(rows))
	}
	if more := p.unlisted(); more > 0 {
		pw.line("… and %s more; --all lists them.", human.Count(more))
	}
	pw.line("")
	pw.line("Would trim %s (%s), expire %s, retire %s, restore %s, drop %s.",
		plural(s.TrimStreams, "stream"), plural(s.TrimEntries, "entry"), plural(s.ExpireSessions, "session"),
		plural(s.RetireStreams, "stream"), human.Count(s.RestoreStreams), plural(s.DropNames, "name"))
	if s.TrimBytes > 0 {
		pw.line("Trimming would free about %s.", human.Bytes(s.TrimBytes))
	}
	if s.AbandonSessions > 0 {
		pw.line("Would mark %s as abandoned.", plural(s.AbandonSessions, "session"))
	}
	if s.Brake != "" {
		pw.line("The mass-deletion guard would stop the clean-up: %s%s.\nTo do it all the same: streamkeeper once --force cleanup", s.Brake, releaseText(s.BrakeUntil))
	}
	p.writeHint(pw)
	return p.writeProtected(pw)
}

// pauseStops reports whether there would be more to do if nothing was paused.
func (p *Plan) pauseStops() bool {
	return p.PausedSessions+p.PausedStreams > 0 || slices.ContainsFunc(p.Protected, func(protection Protection) bool { return protection.By == "pause" })
}

// HasWork reports whether there is something to do, also where the guard or a
// pause stops it.
func (p *Plan) HasWork() bool {
	s := p.Summary
	return p.pauseStops() || len(p.Actions) > 0 || s.Brake != "" ||
		s.TrimStreams+s.ExpireSessions+s.AbandonSessions+s.RetireStreams+s.RestoreStreams+s.DropNames > 0
}

// writeHint says why streams a little over a limit are not listed.
func (p *Plan) writeHint(pw *printer) {
	if p.parts == 0 {
		return
	}
	verb := "is"
	if p.parts > 1 {
		verb = "are"
	}
	pw.line("%s %s over a limit by a part of a macro node (stream-node-max-entries), which approximate\ntrimming keeps; TRIM_EXACT=true removes that too.",
		plural(p.parts, "stream"), verb)
}

// writeProtected says what stays although it is over a limit.
func (p *Plan) writeProtected(pw *printer) error {
	if p.protected == 0 || pw.err != nil {
		return pw.err
	}
	pw.line("")
	pw.line("Over a limit, and protected:")
	rows := [][]string{{"STREAM", "ENTRIES", "BY", "WHY"}}
	for _, protection := range p.Protected {
		if protection.rest {
			continue
		}
		rows = append(rows, []string{cut(named(protection.Stream), 32), human.Count(protection.Entries), protection.By, protection.Reason})
	}
	if pw.err = writeTable(pw.w, rows); pw.err == nil && p.protected > int64(len(rows)-1) {
		pw.line("… and %s more; --all lists them.", human.Count(p.protected-int64(len(rows)-1)))
	}
	return pw.err
}

// releaseText says when the mass-deletion guard releases by itself.
func releaseText(until time.Time) string {
	if until.IsZero() {
		return ""
	}
	return "; it releases at " + until.Format("2006-01-02 15:04 MST") + " if that stands"
}

// writeNotes says what is not done, and why.
func (p *Plan) writeNotes(pw *printer) {
	for _, failed := range p.Failed {
		pw.line("Failed: %s", failed)
	}
	if len(p.Failed) > 0 {
		pw.line("This plan is incomplete.")
	}
	for _, pause := range p.Paused {
		text := fmt.Sprintf("Paused: %s until %s", pause.what, pause.Until.Format(pauseTime))
		if pause.Reason != "" {
			text += " (" + pause.Reason + ")"
		}
		pw.line("%s. To end it: streamkeeper resume %s", text, pause.ID)
	}
	if kept := p.pausedItems(); kept != "" {
		pw.line("That keeps %s from clean-up.", kept)
	}
	if p.Pressure != "" {
		pw.line("%s", human.Sentence(strings.ToUpper(p.Pressure[:1])+p.Pressure[1:]))
	}
	if p.Refused != "" {
		pw.line("once would change nothing: %s", human.Sentence(p.Refused))
	}
	if len(p.Unmatched) > 0 && p.Summary.Streams > 0 {
		pw.line("No stream matches %s.", strings.Join(p.Unmatched, ", "))
	}
	s := p.Summary
	if s.Lost != "" {
		pw.line("Attention: %s", human.Sentence(s.Lost))
	}
	if s.FlowingSessions > 0 {
		of := ""
		if p.Chosen {
			of = " of all"
		}
		pw.line("%s%s not updated while messages arrive: kept; the producers must update lastUpdated.", plural(s.FlowingSessions, "session"), of)
	}
	if n := s.PostponedSessions; n > 0 {
		pw.line("%s left to a later run: their messages could not be looked at in this one.", plural(n, "session"))
	}
	if n := s.PostponedStreams; n > 0 {
		pw.line("%s left to a later run: too many sessions expire in this one.", plural(n, "stream"))
	}
}

// row is an action on one line of 100 columns, if its reason is as usual.
func (a Action) row() []string {
	name, entries, bytes := a.Stream, "", ""
	if a.Session != nil {
		name = *a.Session
	}
	if a.Action == "trim" {
		entries = human.Count(a.Entries)
		if a.Estimated {
			entries = "~" + entries
		}
		if a.Bytes > 0 {
			bytes = "~" + human.Bytes(a.Bytes)
		}
	}
	return []string{a.Action, cut(named(name), 28), entries, bytes, a.Reason}
}

func (p *Plan) unlisted() int64 {
	more := int64(0)
	for _, n := range p.counts {
		more += int64(max(0, n-Listed))
	}
	if p.all {
		return 0
	}
	return more
}

// dropEmptyColumns leaves out what no row has.
func dropEmptyColumns(rows [][]string) [][]string {
	var keep []int
	for c := range rows[0] {
		for _, row := range rows[1:] {
			if row[c] != "" {
				keep = append(keep, c)
				break
			}
		}
	}
	slim := make([][]string, len(rows))
	for i, row := range rows {
		for _, c := range keep {
			slim[i] = append(slim[i], row[c])
		}
	}
	return slim
}

// printer writes lines until one fails.
type printer struct {
	w   io.Writer
	err error
}

// line writes a sentence, which is wrapped at the edge of a screen.
func (p *printer) line(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if screen, _ := p.w.(Screen); screen.Width > 0 {
		text = wrapLines(text, screen.Width)
	}
	if p.err == nil {
		if _, err := io.WriteString(p.w, text+"\n"); err != nil {
			p.err = fmt.Errorf("writing the report: %w", err)
		}
	}
}

// wrapLines wraps the lines that are too wide, but those that are indented.
func wrapLines(text string, columns int) string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if escape.Width(line) <= columns || strings.HasPrefix(line, " ") {
			lines = append(lines, line)
			continue
		}
		lines = append(lines, wrap(line, columns)...)
	}
	return strings.Join(lines, "\n")
}

// pausedItems is what pauses keep from clean-up, in words.
func (p *Plan) pausedItems() string {
	var kept []string
	if p.PausedSessions > 0 {
		kept = append(kept, plural(p.PausedSessions, "session"))
	}
	if p.PausedStreams > 0 {
		kept = append(kept, plural(p.PausedStreams, "stream"))
	}
	return strings.Join(kept, " and ")
}
