package report

import (
	"io"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// History is what was removed, the newest first.
type History struct {
	Version string `json:"version"`
	Redis   Redis  `json:"redis"`
	// Recorded is how many entries there are in the time that was asked for.
	Recorded int64     `json:"recorded"`
	Removals []Removal `json:"removals"`
}

// Removal is one removal, or a gap.
type Removal struct {
	Time   time.Time `json:"time"`
	Action string    `json:"action"`
	// Name of the session or the stream; empty for a gap.
	Name     string `json:"name,omitempty"`
	Reason   string `json:"reason"`
	Instance string `json:"instance"`
	// Missing is how many removals a gap stands for.
	Missing int64 `json:"missing,omitempty"`
}

// Add takes an entry in.
func (h *History) Add(r buffer.Removal) {
	out := Removal{Time: r.Time, Action: r.Action, Name: buffer.Escape(r.Name), Reason: buffer.Escape(r.Reason), Instance: buffer.Escape(r.Instance)}
	if r.Action == buffer.Gap {
		out.Name, out.Missing = "", r.Missing()
	}
	h.Removals = append(h.Removals, out)
}

// WriteHistory writes a row for each entry.
func WriteHistory(w io.Writer, f Format, h History) error {
	if f == JSON {
		return writeJSON(w, h)
	}
	p := &printer{w: w}
	switch {
	case len(h.Removals) > 0:
	case h.Recorded > 0:
		p.line("None of the %s in the history is what was asked for.", plural(h.Recorded, "removal"))
		return p.err
	default:
		p.line("The history holds no removal.")
		return p.err
	}
	rows := [][]string{{"TIME (UTC)", "ACTION", "NAME", "WHY"}}
	for _, r := range h.Removals {
		name := r.Name
		if r.Missing > 0 {
			name = plural(r.Missing, "removal")
		}
		rows = append(rows, []string{r.Time.Format(time.DateTime), r.Action, name, r.Reason + ", by " + r.Instance})
	}
	p.table(rows)
	return p.err
}
