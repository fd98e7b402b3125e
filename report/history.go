package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// History is what was removed, the newest first.
type History struct {
	Version string `json:"version"`
	Redis   Redis  `json:"redis"`
	// Recorded is how many entries there are in the time that was asked for.
	Recorded int64     `json:"recorded"`
	Removals []Removal `json:"removals"`
	// Trims are what was trimmed, by the hour; nil if that was not asked for.
	Trims []TrimSum `json:"trims,omitzero"`
}

// TrimSum is what was trimmed from a stream in an hour.
type TrimSum struct {
	Hour    time.Time `json:"hour"`
	Stream  string    `json:"stream"`
	Entries int64     `json:"entries"`
	// Bytes is an estimate of what they took, left out if not known.
	Bytes int64 `json:"bytes,omitempty"`
	// Others is how many entries went in that hour without us, left out if not
	// known.
	Others *int64 `json:"entries_gone_otherwise,omitempty"`
	// Last is when it was trimmed last in that hour.
	Last time.Time `json:"last"`
	// OldestBefore and OldestAfter are the ids of the oldest entries that were
	// kept; empty if not known.
	OldestBefore string   `json:"oldest_before,omitempty"`
	OldestAfter  string   `json:"oldest_after,omitempty"`
	Reasons      []string `json:"reasons"`
	Instance     string   `json:"instance"`
}

// AddTrims takes a sum in.
func (h *History) AddTrims(s buffer.TrimSum) { h.Trims = append(h.Trims, newTrimSum(s)) }

func newTrimSum(s buffer.TrimSum) TrimSum {
	out := TrimSum{
		Hour: s.Hour, Stream: buffer.Escape(s.Stream), Entries: s.Entries, Bytes: s.Bytes, Last: s.Last, Instance: buffer.Escape(s.Instance),
	}
	for _, reason := range s.Reasons {
		out.Reasons = append(out.Reasons, buffer.Escape(reason))
	}
	if s.Others >= 0 {
		out.Others = &s.Others
	}
	if !s.Before.IsZero() {
		out.OldestBefore = s.Before.String()
	}
	if !s.After.IsZero() {
		out.OldestAfter = s.After.String()
	}
	return out
}

// sentence says what a sum is.
func (s *TrimSum) sentence() string {
	text := fmt.Sprintf("last at %s by %s, by %s: %s", s.Last.Format(time.DateTime), strings.Join(s.Reasons, " and "), s.Instance, plural(s.Entries, "entry"))
	if s.Bytes > 0 {
		text += ", about " + human.Bytes(s.Bytes) + ","
	}
	text += " in that hour"
	if s.Others != nil && *s.Others > 0 {
		text += fmt.Sprintf("; %s more went without streamkeeper", human.Count(*s.Others))
	}
	return text
}

// Kept says which entries were the oldest, before and after, why the others went,
// and by whom.
func (s *TrimSum) Kept() string {
	text := fmt.Sprintf("%s → %s, by %s, by %s", idTime(s.OldestBefore, "?"), idTime(s.OldestAfter, "none"), strings.Join(s.Reasons, " and "), s.Instance)
	if s.Others != nil && *s.Others > 0 {
		text += fmt.Sprintf("; %s more went without streamkeeper", human.Count(*s.Others))
	}
	return text
}

// idTime is an id as a person reads it: as its time, where it is one.
func idTime(id, none string) string {
	parsed, err := buffer.ParseID(id)
	if err != nil || !parsed.IsTime(time.Now()) {
		return cmp.Or(id, none)
	}
	return parsed.Time().UTC().Format(time.DateTime)
}

// Removal is one removal, or a gap.
type Removal struct {
	Time   time.Time `json:"time"`
	Action string    `json:"action"`
	// Name of the session or the stream; empty for a gap.
	Name     string `json:"name"`
	Reason   string `json:"reason"`
	Instance string `json:"instance"`
	// Missing is how many removals a gap stands for.
	Missing int64 `json:"missing,omitempty"`
	// Since is when a gap began, if it was not at its time.
	Since *time.Time `json:"since,omitempty"`
}

// Add takes an entry in.
func (h *History) Add(r buffer.Removal) { h.Removals = append(h.Removals, NewRemoval(r)) }

// NewRemoval is an entry of the history as it is written.
func NewRemoval(r buffer.Removal) Removal {
	out := Removal{Time: r.Time, Action: buffer.Escape(r.Action), Name: buffer.Escape(r.Name), Reason: buffer.Escape(r.Reason), Instance: buffer.Escape(r.Instance)}
	if r.Action == buffer.Gap {
		out.Name, out.Missing, out.Since = "", r.Missing(), timeOf(r.Since)
	}
	return out
}

// WriteHistory writes a row for each entry.
func WriteHistory(w io.Writer, f Format, h History) error {
	if f == JSON {
		return writeJSON(w, h)
	}
	p := &printer{w: w}
	switch {
	case len(h.Removals) > 0:
		p.table(h.rows())
	case h.Recorded > 0:
		p.line("None of the %s in the history is what was asked for.", plural(h.Recorded, "removal"))
	default:
		p.line("The history holds no removal.")
	}
	if h.Trims == nil {
		return p.err
	}
	p.line("")
	if len(h.Trims) == 0 {
		p.line("No trim is recorded.")
		return p.err
	}
	p.table(h.trimRows())
	return p.err
}

func (h *History) rows() [][]string {
	rows := [][]string{{"TIME (UTC)", "ACTION", "NAME", "WHY"}}
	for _, r := range h.Removals {
		name := r.Name
		if r.Missing > 0 {
			name = plural(r.Missing, "removal")
		}
		why := r.Reason
		if r.Since != nil {
			why += ", since " + r.Since.Format(time.DateTime)
		}
		rows = append(rows, []string{r.Time.Format(time.DateTime), r.Action, name, why + ", by " + r.Instance})
	}
	return rows
}

func (h *History) trimRows() [][]string {
	rows := [][]string{{"HOUR (UTC)", "ENTRIES", "BYTES", "STREAM", "OLDEST KEPT, WHY"}}
	for _, s := range h.Trims {
		bytes := "-"
		if s.Bytes > 0 {
			bytes = human.Bytes(s.Bytes)
		}
		rows = append(rows, []string{s.Hour.Format("2006-01-02 15h"), count(s.Entries), bytes, s.Stream, s.Kept()})
	}
	return rows
}
