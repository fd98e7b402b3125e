package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/internal/escape"
	"github.com/streamkeeper/streamkeeper/internal/human"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
)

// WritePlan writes a plan.
func WritePlan(w io.Writer, f Format, p *Plan) error {
	if f == JSON {
		return writeJSON(w, p)
	}
	pw := &printer{w: w}
	s := p.Summary
	pw.line("%s: %s.", p.Redis, p.found())
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
	pw.line("Would %s.", p.would())
	if s.TrimBytes > 0 {
		pw.line("Trimming would free about %s.", human.Bytes(s.TrimBytes))
	}
	if s.AbandonSessions > 0 {
		pw.line("Would mark %s as abandoned.", plural(s.AbandonSessions, "session"))
	}
	p.writeHint(pw)
	return p.writeProtected(pw)
}

// found counts the streams and sessions that were read.
func (p *Plan) found() string {
	s := p.Summary
	var found []string
	if s.Streams > 0 || len(p.Failed) == 0 {
		found = append(found, plural(s.Streams, "stream"))
	}
	if s.Sessions != nil {
		found = append(found, plural(*s.Sessions, "session"))
	}
	if len(found) == 0 {
		return "streams and sessions could not be read"
	}
	return strings.Join(found, ", ")
}

// would counts what would be done by the jobs that are planned.
func (p *Plan) would() string {
	s := p.Summary
	var all []string
	if p.Job != jobs.Cleanup {
		all = append(all, fmt.Sprintf("trim %s (%s)", plural(s.TrimStreams, "stream"), plural(s.TrimEntries, "entry")))
	}
	if p.Job != jobs.Trim {
		all = append(all, fmt.Sprintf("expire %s, retire %s, restore %s, drop %s",
			plural(s.ExpireSessions, "session"), plural(s.RetireStreams, "stream"), human.Count(s.RestoreStreams), plural(s.DropNames, "name")))
	}
	return strings.Join(all, ", ")
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

// writeNotes says what is not done, and why.
func (p *Plan) writeNotes(pw *printer) {
	for _, failed := range p.Failed {
		pw.line("Failed: %s", failed)
	}
	if len(p.Failed) > 0 {
		pw.line("This plan is incomplete.")
	}
	pw.pauses(p.Paused)
	if s := p.Summary; s.Brake != "" {
		pw.line("The mass-deletion guard would stop the clean-up: %s%s.", s.Brake, cleanup.ReleaseText(s.BrakeUntil))
		pw.line("So no session expires and no stream retires. To force it: %s", cleanup.ForceCommand)
	}
	if kept := p.pausedItems(); kept != "" {
		pw.line("That keeps %s from clean-up.", kept)
	}
	if p.Pressure != "" {
		pw.line("%s", human.Sentence(strings.ToUpper(p.Pressure[:1])+p.Pressure[1:]))
	}
	for _, job := range p.Disabled {
		pw.line("%s: the daemon does not do it, nor does once\nunless it is named (streamkeeper once %s).", OffText(job), job)
	}
	if p.Refused != "" {
		pw.line("once would change nothing: %s", human.Sentence(p.Refused))
	}
	if p.NoMatch != "" && p.Absence == "" {
		pw.line("%s", human.Sentence(strings.ToUpper(p.NoMatch[:1])+p.NoMatch[1:]))
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
