package report

import (
	"io"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// Pause is a pause as it is shown. Names are escaped.
type Pause struct {
	ID string `json:"id"`
	// Job is the one that it stops, empty for trim and cleanup.
	Job string `json:"job,omitempty"`
	// Stream is the pattern of the streams that it is for, empty for all.
	Stream string    `json:"stream,omitempty"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`
	Reason string    `json:"reason,omitempty"`

	// jobs and what say in words what it stops.
	jobs, what string
}

// NewPauses are pauses as they are shown.
func NewPauses(pauses buffer.Pauses) []Pause {
	all := []Pause{}
	for _, p := range pauses {
		all = append(all, Pause{buffer.Escape(p.ID), buffer.Escape(p.Job), buffer.Escape(p.Pattern), p.Since, p.Until, buffer.Escape(p.Reason), p.Jobs(), p.What()})
	}
	return all
}

// Paused is what pause says of a new one. Streams is how many its pattern chooses
// now, of so many.
type Paused struct {
	Pause   Pause `json:"pause"`
	Streams int64 `json:"streams"`
	Of      int64 `json:"of"`
}

// WritePaused writes what was paused.
func WritePaused(w io.Writer, f Format, p Paused) error {
	if f == JSON {
		return writeJSON(w, p)
	}
	pw := &printer{w: w}
	pw.line("Paused: %s until %s.", p.Pause.what, p.Pause.Until.Format(pauseTime))
	switch {
	case p.Pause.Stream == "":
	case p.Streams == 0:
		pw.line("No stream matches %s now.", p.Pause.Stream)
	default:
		pw.line("%s of %s match now.", plural(p.Streams, "stream"), plural(p.Of, "stream"))
	}
	pw.line("To end it: streamkeeper resume %s", p.Pause.ID)
	return pw.err
}

const pauseTime = "2006-01-02 15:04:05 MST"

// WritePauses writes the pauses that hold.
func WritePauses(w io.Writer, f Format, pauses []Pause) error {
	if f == JSON {
		return writeJSON(w, struct {
			Pauses []Pause `json:"pauses"`
		}{pauses})
	}
	pw := &printer{w: w}
	if len(pauses) == 0 {
		pw.line("Nothing is paused.")
		return pw.err
	}
	rows := [][]string{{"ID", "JOB", "STREAMS", "UNTIL", "REASON"}}
	for _, p := range pauses {
		streams := p.Stream
		if streams == "" {
			streams = "all"
		}
		rows = append(rows, []string{p.ID, p.jobs, cut(streams, 32), p.Until.Format(pauseTime), p.Reason})
	}
	return writeTable(w, dropEmptyColumns(rows))
}

// WriteResumed writes which pauses were ended.
func WriteResumed(w io.Writer, f Format, pauses []Pause) error {
	if f == JSON {
		return writeJSON(w, struct {
			Resumed []Pause `json:"resumed"`
		}{pauses})
	}
	pw := &printer{w: w}
	if len(pauses) == 0 {
		pw.line("Nothing was paused.")
	}
	for _, p := range pauses {
		pw.line("Ended the pause %s of %s.", p.ID, p.what)
	}
	return pw.err
}

// pauses says what is paused, and how that ends.
func (p *printer) pauses(all []Pause) {
	for _, pause := range all {
		text := "Paused: " + pause.what + " until " + pause.Until.Format(pauseTime)
		if pause.Reason != "" {
			text += " (" + pause.Reason + ")"
		}
		p.line("%s. To end it: streamkeeper resume %s", text, pause.ID)
	}
}
