// Package report writes what the commands found and did: tables for people,
// JSON for programs, and progress on a terminal.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/escape"
	"github.com/streamkeeper/streamkeeper/internal/human"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
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
	// Address holds no secret.
	Address  string `json:"address"`
	Database int    `json:"database"`

	// Role is "replica" for one.
	Role string `json:"-"`
}

// String names the target.
func (r Redis) String() string {
	text := fmt.Sprintf("%s, database %d, Redis %s (%s", r.Address, r.Database, r.Version, r.Mode)
	if r.Role == "replica" {
		text += ", a replica"
	}
	return text + ")"
}

// Once is what the command once did.
type Once struct {
	Version string        `json:"version"`
	Redis   Redis         `json:"redis"`
	DryRun  bool          `json:"dry_run"`
	Jobs    []jobs.Result `json:"jobs"`
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
	if len(o.Jobs) == 0 {
		return writeNoJobs(w)
	}
	rows := [][]string{onceHeading()}
	for _, j := range o.Jobs {
		rows = append(rows, onceRows(j, o.DryRun)...)
	}
	return writeTable(w, rows)
}

// OffText says by which setting a job is off.
func OffText(job string) string {
	return fmt.Sprintf("%s is off (%s_ENABLED=false)", job, strings.ToUpper(job))
}

// writeNoJobs says why nothing was done.
func writeNoJobs(w io.Writer) error {
	var off []string
	for _, job := range jobs.OnDemand() {
		off = append(off, OffText(job))
	}
	pw := &printer{w: w}
	pw.line("Nothing was done:\n%s.\nA job that is named is done all the same: streamkeeper once %s.", strings.Join(off, ",\n"), jobs.Trim)
	return pw.err
}

func onceHeading() []string { return []string{"JOB", "RESULT", "TIME", "WHAT"} }

func onceRows(r jobs.Result, dryRun bool) [][]string {
	h := r.Outcome()
	result, what := "ok", r.Sentence(dryRun)
	switch {
	case h.Paused != "":
		result = "paused"
	case r.Stopped() != "":
		result = "stopped"
	}
	if !h.OK {
		result = "failed"
		// The sentence counts the items that failed already.
		if h.Error != "" && h.Error != fmt.Sprintf("%d items failed", r.Failed()) {
			what += "; " + h.Error
		}
	}
	rows := [][]string{{h.Job, result, took(h.Seconds), what}}
	if paused := h.Pauses(); paused != "" {
		rows = append(rows, []string{"", "", "", paused})
	}
	if remark := r.Remark(); remark != "" {
		rows = append(rows, []string{"", "", "", remark})
	}
	return rows
}

// took is a time in seconds, to a tenth of a second if it is short.
func took(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if d >= time.Second && d < 10*time.Second {
		return fmt.Sprintf("%.1fs", seconds)
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

// cut shortens a cell to at most so many columns.
func cut(text string, columns int) string {
	if escape.Width(text) <= columns {
		return text
	}
	return fitting(text, columns-1) + "…"
}

// named is the name of a stream or a session as a cell shows it: one without
// characters, or with a space at either end, is seen all the same.
func named(name string) string {
	if name == "" {
		return `""`
	}
	bare := strings.TrimLeft(name, " ")
	begin := len(name) - len(bare)
	end := len(bare) - len(strings.TrimRight(bare, " "))
	const space = `\x20`
	return strings.Repeat(space, begin) + bare[:len(bare)-end] + strings.Repeat(space, end)
}
