package report

import (
	"io"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/history"
)

// The results of a session that was to be put back, or forgotten.
const (
	PutBack = "put back"
	Exists  = "exists"
	NoCopy  = "no copy"
	Others  = "of others"
	Failed  = "failed"
	Dropped = "dropped"
)

// Undo is what became of expired sessions.
type Undo struct {
	Version string       `json:"version"`
	Redis   Redis        `json:"redis"`
	DryRun  bool         `json:"dry_run"`
	Summary UndoSummary  `json:"summary"`
	All     []UndoResult `json:"sessions"`
}

// UndoSummary counts results.
type UndoSummary struct {
	PutBack int64 `json:"put_back"`
	Exists  int64 `json:"exists"`
	NoCopy  int64 `json:"no_copy"`
	Others  int64 `json:"others"`
	Failed  int64 `json:"failed"`
	Dropped int64 `json:"dropped"`
}

// UndoResult is what became of one session.
type UndoResult struct {
	Session string    `json:"session"`
	Layout  string    `json:"layout,omitempty"`
	Stream  string    `json:"stream,omitempty"`
	Expired time.Time `json:"expired,omitzero"`
	// TTLSeconds is the time to live that was left; 0 if it had none.
	TTLSeconds float64 `json:"ttl_seconds,omitempty"`
	Result     string  `json:"result"`
	Error      string  `json:"error,omitempty"`
}

// Add takes in what became of a session.
func (u *Undo) Add(r history.Return) {
	out := UndoResult{
		Session: buffer.Escape(r.Identity), Layout: string(r.Layout), Stream: buffer.Escape(r.Stream), Expired: r.Expired, TTLSeconds: r.Left.Seconds(),
	}
	switch {
	case r.Err != nil:
		out.Result, out.Error = Failed, r.Err.Error()
	case r.Others:
		out.Result = Others
	case r.Undone == registry.Exists:
		out.Result = Exists
	case r.Undone == registry.IsBack:
		out.Result = PutBack
	default:
		out.Result = NoCopy
	}
	u.add(out)
}

// AddName takes in a session of which no more is known than a result.
func (u *Undo) AddName(session, result string) {
	u.add(UndoResult{Session: buffer.Escape(session), Result: result})
}

func (u *Undo) add(r UndoResult) {
	counts := map[string]*int64{
		PutBack: &u.Summary.PutBack, Exists: &u.Summary.Exists, NoCopy: &u.Summary.NoCopy, Others: &u.Summary.Others,
		Failed: &u.Summary.Failed, Dropped: &u.Summary.Dropped,
	}
	*counts[r.Result]++
	u.All = append(u.All, r)
}

// maxUndoRows is how many sessions a table shows.
const maxUndoRows = 100

// WriteUndo writes a row for each session, and how many there are.
func WriteUndo(w io.Writer, f Format, u Undo) error {
	if f == JSON {
		return writeJSON(w, u)
	}
	p := &printer{w: w}
	if len(u.All) == 0 {
		p.line("No copy of a session that expired in that time.")
		return p.err
	}
	rows := [][]string{{"SESSION", "EXPIRED (UTC)", "STREAM", "RESULT"}}
	for _, r := range u.All[:min(len(u.All), maxUndoRows)] {
		expired := ""
		if !r.Expired.IsZero() {
			expired = r.Expired.Format(time.DateTime)
		}
		result := r.Result
		if u.DryRun && (result == PutBack || result == Dropped) {
			result = "to be " + result
		}
		if r.Error != "" {
			result += ": " + r.Error
		}
		rows = append(rows, []string{r.Session, expired, r.Stream, result})
	}
	p.table(rows)
	if more := len(u.All) - maxUndoRows; more > 0 {
		p.line("… and %s more; -o json has all.", count(int64(more)))
	}
	p.line("")
	verb, forgotten := "Put back", "Forgotten"
	if u.DryRun {
		verb, forgotten = "To be put back", "To be forgotten"
	}
	for _, part := range []struct {
		n    int64
		text string
	}{
		{u.Summary.PutBack, verb},
		{u.Summary.Exists, "There again, left as it is"},
		{u.Summary.NoCopy, "Without a copy"},
		{u.Summary.Others, "Of streams of others"},
		{u.Summary.Failed, "Failed"},
		{u.Summary.Dropped, forgotten},
	} {
		if part.n > 0 {
			p.line("%s: %s.", part.text, plural(part.n, "session"))
		}
	}
	return p.err
}
