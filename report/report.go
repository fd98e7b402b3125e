// Package report writes what the commands found and did: tables for people,
// JSON for programs, and progress on a terminal.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/streamkeeper/streamkeeper/internal/human"
)

// Format is how results are written.
type Format string

// The formats.
const (
	Table Format = "table"
	JSON  Format = "json"
)

// ParseFormat reads the value of -o.
func ParseFormat(text string) (Format, error) {
	switch f := Format(text); f {
	case Table, JSON:
		return f, nil
	}
	return "", fmt.Errorf("-o %q: want table or json", text)
}

// Redis is the server that was worked on.
type Redis struct {
	Version string `json:"version"`
	Mode    string `json:"mode"`
}

// Once is what the command once did.
type Once struct {
	Version string `json:"version"`
	Redis   Redis  `json:"redis"`
	DryRun  bool   `json:"dry_run"`
	Jobs    []Job  `json:"jobs"`
}

// Job is what one job did; its counts depend on the job.
type Job interface {
	head() *Head
	// what is the outcome in words.
	what(dryRun bool) string
	// remark is what else there is to say, in a line of its own; empty if nothing.
	remark() string
}

// Head is what all jobs report.
type Head struct {
	Job     string  `json:"job"`
	OK      bool    `json:"ok"`
	Seconds float64 `json:"seconds"`
	Error   string  `json:"error"`
}

func (h *Head) head() *Head { return h }

func (*Head) remark() string { return "" }

// Finish notes how a job ended.
func Finish(j Job, took time.Duration, err error) {
	h := j.head()
	h.Seconds = took.Round(time.Microsecond).Seconds()
	h.OK = err == nil
	if err != nil {
		h.Error = err.Error()
	}
}

// TrimJob is what trimming did.
type TrimJob struct {
	Head
	Streams        int64 `json:"streams"`
	StreamsTrimmed int64 `json:"streams_trimmed"`
	EntriesRemoved int64 `json:"entries_removed"`
	Errors         int64 `json:"errors"`
	// Pressure says that streams keep less for want of memory; empty if not.
	Pressure string `json:"pressure"`
}

func (j *TrimJob) what(dryRun bool) string {
	verb := "trimmed"
	if dryRun {
		verb = "to trim"
	}
	return fmt.Sprintf("%s of %s %s, %s", human.Count(j.StreamsTrimmed), plural(j.Streams, "stream"), verb,
		plural(j.EntriesRemoved, "entry")) + failures(j.Errors)
}

func (j *TrimJob) remark() string { return j.Pressure }

// CleanupJob is what clean-up did.
type CleanupJob struct {
	Head
	Sessions          int64  `json:"sessions"`
	SessionsExpired   int64  `json:"sessions_expired"`
	SessionsAbandoned int64  `json:"sessions_abandoned"`
	SessionsMalformed int64  `json:"sessions_malformed"`
	Streams           int64  `json:"streams"`
	StreamsRetired    int64  `json:"streams_retired"`
	StreamsRestored   int64  `json:"streams_restored"`
	NamesDropped      int64  `json:"names_dropped"`
	Errors            int64  `json:"errors"`
	Brake             string `json:"brake"`
}

func (j *CleanupJob) what(dryRun bool) string {
	if j.Brake != "" {
		verb := "stopped by the brake: "
		if dryRun {
			verb = "the brake would stop it: "
		}
		return verb + j.Brake
	}
	parts := []string{
		fmt.Sprintf("%s of %s expired", human.Count(j.SessionsExpired), plural(j.Sessions, "session")),
		fmt.Sprintf("%s of %s retired", human.Count(j.StreamsRetired), plural(j.Streams, "stream")),
	}
	for _, more := range []struct {
		n    int64
		text string
	}{
		{j.SessionsAbandoned, "abandoned"},
		{j.StreamsRestored, "restored"},
		{j.NamesDropped, "names dropped"},
		{j.SessionsMalformed, "malformed"},
	} {
		if more.n > 0 {
			parts = append(parts, human.Count(more.n)+" "+more.text)
		}
	}
	return strings.Join(parts, ", ") + failures(j.Errors)
}

// InspectJob is what inspection found.
type InspectJob struct {
	Head
	Messages int64 `json:"messages"`
	Valid    int64 `json:"ok_messages"`
	Warn     int64 `json:"warn"`
	Invalid  int64 `json:"invalid"`
	Bytes    int64 `json:"bytes"`
}

func (j *InspectJob) what(bool) string {
	return fmt.Sprintf("%s looked at: %s ok, %s with warnings, %s invalid", plural(j.Messages, "message"),
		human.Count(j.Valid), human.Count(j.Warn), human.Count(j.Invalid))
}

func failures(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %s failed", human.Count(n))
}

func plural(n int64, noun string) string {
	if n != 1 {
		if base, ok := strings.CutSuffix(noun, "y"); ok {
			noun = base + "ies"
		} else {
			noun += "s"
		}
	}
	return human.Count(n) + " " + noun
}

// WriteOnce writes what once did.
func WriteOnce(w io.Writer, f Format, o Once) error {
	if f == JSON {
		return writeJSON(w, o)
	}
	if o.DryRun {
		if _, err := fmt.Fprintln(w, "Dry run: nothing was changed."); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
	}
	rows := [][]string{onceHeading()}
	for _, j := range o.Jobs {
		rows = append(rows, onceRows(j, o.DryRun)...)
	}
	return writeTable(w, rows)
}

func onceHeading() []string { return []string{"JOB", "RESULT", "TIME", "WHAT"} }

func onceRows(j Job, dryRun bool) [][]string {
	h := j.head()
	result, what := "ok", j.what(dryRun)
	if !h.OK {
		result = "failed"
		if h.Error != "" {
			what += "; " + h.Error
		}
	}
	rows := [][]string{{h.Job, result, h.took(), what}}
	if remark := j.remark(); remark != "" {
		rows = append(rows, []string{"", "", "", remark})
	}
	return rows
}

// took is how long the job took, to a tenth of a second if it was short.
func (h *Head) took() string {
	d := time.Duration(h.Seconds * float64(time.Second))
	if d >= time.Second && d < 10*time.Second {
		return fmt.Sprintf("%.1fs", h.Seconds)
	}
	return human.Duration(d)
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	return nil
}

func writeTable(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		// A tab or a newline cannot be in a cell: names are escaped.
		_, _ = fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	return nil
}

// cut shortens a cell to at most width characters.
func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	runes := []rune(text)
	return string(runes[:width-1]) + "…"
}
