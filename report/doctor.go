package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/streamkeeper/streamkeeper/doctor"
	"github.com/streamkeeper/streamkeeper/internal/escape"
)

// Diagnosis is what doctor found.
type Diagnosis struct {
	Version string           `json:"version"`
	Redis   Redis            `json:"redis"`
	Session string           `json:"session,omitempty"`
	Summary DiagnosisSummary `json:"summary"`
	// Checks are all that were made, those with nothing to say too.
	Checks []doctor.Finding `json:"checks"`
}

// DiagnosisSummary counts the checks by what they say.
type DiagnosisSummary struct {
	OK      int64 `json:"ok"`
	Advice  int64 `json:"advice"`
	Warning int64 `json:"warning"`
	Error   int64 `json:"error"`
}

// NewDiagnosis makes one of what the doctor says.
func NewDiagnosis(version string, redis Redis, r doctor.Report) Diagnosis {
	return Diagnosis{
		Version: version, Redis: redis, Checks: r.Findings,
		Summary: DiagnosisSummary{r.Count(doctor.OK), r.Count(doctor.Advice), r.Count(doctor.Warning), r.Count(doctor.Error)},
	}
}

// width is how many columns a sentence has.
const width = 80

// WriteDiagnosis writes what doctor found: a line a check, and below what is not
// ok examples, why it matters and what to do.
func WriteDiagnosis(w io.Writer, f Format, d Diagnosis) error {
	if f == JSON {
		return writeJSON(w, d)
	}
	p := &printer{w: w}
	group, column := doctor.Group(""), 0
	for _, c := range d.Checks {
		column = max(column, escape.Width(c.Check))
	}
	for _, c := range d.Checks {
		if c.Group != group {
			if group != "" {
				p.line("")
			}
			group = c.Group
			p.line("%s", group)
		}
		head := fmt.Sprintf("  %-7s  %-*s  ", c.Severity, column, c.Check)
		p.wrapped(head, strings.Repeat(" ", escape.Width(head)), c.Text)
		if c.Severity == doctor.OK {
			continue
		}
		for _, e := range c.Examples {
			text := e.Name
			if e.Detail != "" {
				text += ": " + e.Detail
			}
			p.wrapped("           - ", "             ", text)
		}
		if more := c.Count - int64(len(c.Examples)); more > 0 {
			p.line("             and %s more", count(more))
		}
		p.wrapped("           Why: ", "           ", fmt.Sprintf("%s (%s)", c.Rule, c.Source))
		p.wrapped("           Do:  ", "           ", c.Remedy)
	}
	p.line("")
	s := d.Summary
	p.line("%s: %d ok, %d with advice, %s, %s.", plural(int64(len(d.Checks)), "check"), s.OK, s.Advice, plural(s.Warning, "warning"), plural(s.Error, "error"))
	return p.err
}

// wrapped writes a sentence in lines of at most width columns, as far as its
// words allow.
func (p *printer) wrapped(first, next, text string) {
	line, columns := first, escape.Width(first)
	empty := true
	for word := range strings.FieldsSeq(text) {
		n := escape.Width(word)
		if !empty && columns+1+n > width {
			p.line("%s", strings.TrimRight(line, " "))
			line, columns, empty = next, escape.Width(next), true
		}
		if !empty {
			line, columns = line+" ", columns+1
		}
		line, columns, empty = line+word, columns+n, false
	}
	p.line("%s", strings.TrimRight(line, " "))
}
