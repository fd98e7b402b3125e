package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/inspect"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// Inspection is what inspect found.
type Inspection struct {
	Summary  InspectSummary    `json:"summary"`
	Messages []inspect.Message `json:"messages"`

	files bool
	found inspect.Report
}

// InspectSummary counts verdicts.
type InspectSummary struct {
	Messages int64 `json:"messages"`
	OK       int64 `json:"ok"`
	Warn     int64 `json:"warn"`
	Invalid  int64 `json:"invalid"`
	Bytes    int64 `json:"bytes"`
}

// NewInspection makes an empty inspection, of files or of streams.
func NewInspection(files bool) *Inspection {
	return &Inspection{files: files, Messages: []inspect.Message{}}
}

// Add takes the judgement of one message in.
func (i *Inspection) Add(m inspect.Message) { i.Messages = append(i.Messages, m) }

// Finish takes the counts in.
func (i *Inspection) Finish(r inspect.Report) {
	i.found = r
	i.Summary = InspectSummary{r.Messages, r.OK, r.Warn, r.Invalid, r.Bytes}
}

// WriteInspection writes what inspect found: a row a stream, or a file, and a
// line for each message that is not ok.
func WriteInspection(w io.Writer, f Format, i *Inspection) error {
	if f == JSON {
		return writeJSON(w, i)
	}
	p := &printer{w: w}
	switch {
	case len(i.Messages) == 0:
		p.line("No message to look at.")
	case i.files:
		p.table(i.fileRows())
		p.line("%s", kindLegend())
	default:
		p.table(i.streamRows())
		p.line("%s", kindLegend())
		i.writeFindings(p)
	}
	i.writeDetails(p)
	p.line("")
	i.writeSaved(p)
	p.line("%s", looked(i.Summary))
	if i.found.StreamsLeft > 0 {
		p.line("%s were not reached: INSPECT_MAX_BYTES bounds what one run reads.", plural(i.found.StreamsLeft, "stream"))
	}
	return p.err
}

func (p *printer) table(rows [][]string) {
	if p.err == nil {
		p.err = writeTable(p.w, rows)
	}
}

func (i *Inspection) streamRows() [][]string {
	rows := [][]string{{"STREAM", "OK", "WARN", "INVALID", "ENCODING", "SIZE", "RATIO", "RATE", "KINDS"}}
	for _, s := range i.found.Summaries {
		rows = append(rows, []string{
			cut(named(buffer.Escape(s.Stream)), 26), count(s.OK), count(s.Warn), count(s.Invalid),
			encodings(s.Encodings), size(s.Size), ratio(s.Ratio), rate(s.Rate), kinds(s.Kinds),
		})
	}
	return rows
}

func (i *Inspection) fileRows() [][]string {
	rows := [][]string{{"FILE", "VERDICT", "ENCODING", "SIZE", "KINDS", "WHY"}}
	for _, m := range i.Messages {
		rows = append(rows, []string{
			cut(buffer.Escape(m.File), 40), m.Verdict.String(), m.Encoding.String(), size(m.Size), kinds(m.Kinds), reasons(m),
		})
	}
	return rows
}

// maxFindings is how many messages that are not ok get a line of their own.
const maxFindings = 50

func (i *Inspection) writeFindings(p *printer) {
	rows := [][]string{{"MESSAGE", "STREAM", "VERDICT", "WHY"}}
	more := 0
	for _, m := range i.Messages {
		if m.Verdict == burst.OK {
			continue
		}
		if len(rows) > maxFindings {
			more++
			continue
		}
		rows = append(rows, []string{m.ID.String(), cut(named(buffer.Escape(m.Stream)), 28), m.Verdict.String(), reasons(m)})
	}
	if len(rows) > 1 {
		p.line("")
		p.table(rows)
	}
	if more > 0 {
		p.line("… and %s more; -o json lists them.", human.Count(more))
	}
}

// reasons are a message's, with a few words about where or what.
func reasons(m inspect.Message) string {
	words := make([]string, len(m.Reasons))
	for i, r := range m.Reasons {
		words[i] = string(r)
	}
	why := strings.Join(words, ", ")
	if m.Detail != nil && m.Detail.Short != "" {
		why += ": " + buffer.Escape(m.Detail.Short)
	}
	return why
}

// nameOf is what a message is called in a sentence.
func nameOf(m inspect.Message) string {
	if m.File != "" {
		return m.File
	}
	return m.Stream + " " + m.ID.String()
}

// maxDetails is how many messages that are not ok get a sentence of their own.
const maxDetails = 10

// writeDetails says in a sentence each what is wrong with the first messages that
// are not ok.
func (i *Inspection) writeDetails(p *printer) {
	told, more := 0, 0
	for _, m := range i.Messages {
		switch {
		case m.Detail == nil:
		case told == maxDetails:
			more++
		default:
			if told++; told == 1 {
				p.line("")
			}
			p.line("%s: %s.", buffer.Escape(nameOf(m)), buffer.Escape(m.Detail.Text))
		}
	}
	if more > 0 {
		p.line("… and %s more; -o json has the details.", human.Count(int64(more)))
	}
}

// writeSaved says where payloads were written to.
func (i *Inspection) writeSaved(p *printer) {
	saved := 0
	for _, m := range i.Messages {
		if m.Saved == "" {
			continue
		}
		if saved++; saved <= maxDetails {
			p.line("Saved %s", buffer.Escape(m.Saved))
		}
	}
	if saved > maxDetails {
		p.line("… and %s more.", human.Count(int64(saved-maxDetails)))
	}
}

func encodings(all []burst.Encoding) string {
	words := make([]string, len(all))
	for i, e := range all {
		words[i] = e.String()
	}
	return strings.Join(words, ", ")
}

// kindCodes shorten the kinds to what a column has room for.
var kindCodes = []struct{ kind, code string }{
	{"session_json", "sj"},
	{"time_range", "tr"},
	{"timestamped_data", "td"},
	{"periodic_data", "pd"},
	{"row_data", "rd"},
	{"event", "ev"},
}

func kinds(counts map[string]int) string {
	var codes []string
	for _, k := range kindCodes {
		if counts[k.kind] > 0 {
			codes = append(codes, k.code)
		}
	}
	return strings.Join(codes, " ")
}

// kindLegend says what the codes mean.
func kindLegend() string {
	var words []string
	for _, k := range kindCodes {
		words = append(words, k.code+" "+k.kind)
	}
	return "Kinds: " + strings.Join(words, ", ") + "."
}

func count(n int64) string {
	if n == 0 {
		return "-"
	}
	return human.Count(n)
}

func size(n int64) string {
	if n == 0 {
		return "-"
	}
	return human.Bytes(n)
}

func ratio(r float64) string {
	if r == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", r)
}

func rate(r float64) string {
	if r == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f/s", r)
}
