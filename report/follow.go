package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/inspect"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// Follow writes messages as they come: rows under one heading, or an object of
// JSON a line.
type Follow struct {
	w      io.Writer
	format Format
	// named says that more than one stream is followed.
	named, begun bool
}

// NewFollow writes to w what comes to so many streams.
func NewFollow(w io.Writer, f Format, streams int) *Follow {
	return &Follow{w: w, format: f, named: streams > 1}
}

// Add writes messages, and the heading before the first. Called without messages
// it writes the heading alone, so that the user sees that it has begun.
func (f *Follow) Add(messages []inspect.Message) error {
	var text bytes.Buffer
	if !f.begun && f.format != JSON {
		text.WriteString(kindLegend() + "\n\n" +
			f.line("MESSAGE", "STREAM", "SESSION", "VERDICT", "ENCODING", "SIZE", "KINDS, OR WHY NOT OK"))
	}
	f.begun = true
	for _, m := range messages {
		if f.format != JSON {
			text.WriteString(f.row(m))
			continue
		}
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(false)
		if err := e.Encode(m); err != nil {
			return fmt.Errorf("writing JSON: %w", err)
		}
	}
	return f.write(text.Bytes())
}

// Finish writes what it came to, unless it is for a program.
func (f *Follow) Finish(r inspect.Report) error {
	if f.format == JSON {
		return nil
	}
	p := &printer{w: f.w}
	p.line("")
	p.line("%s", looked(InspectSummary{r.Messages, r.OK, r.Warn, r.Invalid, r.Bytes}))
	if r.Missed > 0 {
		p.line("Removed before they were seen: at least %s.", plural(r.Missed, "message"))
	}
	return p.err
}

func (f *Follow) row(m inspect.Message) string {
	what := kinds(m.Kinds)
	if m.Verdict != burst.OK {
		what = reasons(m)
	}
	return f.line(m.ID.String(), buffer.Escape(m.Stream), buffer.Escape(m.SessionID), m.Verdict.String(), m.Encoding.String(), size(m.Size), what)
}

// line has columns whose width is known before the first row, and leaves some
// 30 of 100 to the last. Where streams are named, the encoding gives way.
func (f *Follow) line(id, stream, session, verdict, encoding, size, what string) string {
	session = cut(session, 8)
	if f.named {
		return fmt.Sprintf("%-17s  %-18s  %-8s  %-7s  %10s  %s\n", id, cut(stream, 18), session, verdict, size, what)
	}
	return fmt.Sprintf("%-17s  %-8s  %-7s  %-19s  %10s  %s\n", id, session, verdict, encoding, size, what)
}

func (f *Follow) write(text []byte) error {
	if _, err := f.w.Write(text); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// looked counts the verdicts in a sentence.
func looked(s InspectSummary) string {
	return fmt.Sprintf("%s looked at, %s: %s ok, %s with warnings, %s invalid.", plural(s.Messages, "message"), human.Bytes(s.Bytes),
		human.Count(s.OK), human.Count(s.Warn), human.Count(s.Invalid))
}
