package web

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"html/template"
	"net/http"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/human"
)

// page renders the status for people.
type page struct{ template *template.Template }

// view is what the template is given.
type view struct {
	Status
	Columns []column
	// Hidden is how many of the next clean-up's actions are not shown.
	Hidden int64
}

// maxExamples is how many of the next clean-up's actions the page shows.
const maxExamples = 20

// newPage panics over a template that cannot be read, which a test would find.
func newPage() page {
	functions := template.FuncMap{
		"count":    count,
		"bytes":    human.Bytes,
		"capital":  capital,
		"plural":   plural,
		"ago":      ago,
		"in":       in,
		"lasted":   func(now, start time.Time) string { return human.Duration(since(now, start)) },
		"clock":    clock,
		"seconds":  func(s float64) string { return human.Duration(time.Duration(s * float64(time.Second))) },
		"duration": duration,
		"share":    share,
		"spark":    newSpark,
	}
	return page{template.Must(template.New("page").Funcs(functions).Parse(string(readAsset("page.gohtml"))))}
}

func (p page) serve(w http.ResponseWriter, r *http.Request, s Status) {
	query := r.URL.Query()
	order := parseOrder(query.Get("sort"), query.Get("order"))
	s = s.withoutNull()
	order.sort(s.Streams.Largest)
	v := view{Status: s, Columns: order.columns()}
	v.NextCleanup.Examples = s.NextCleanup.Examples[:min(len(s.NextCleanup.Examples), maxExamples)]
	v.Hidden = s.NextCleanup.Actions() - int64(len(v.NextCleanup.Examples))

	var html bytes.Buffer
	if err := p.template.Execute(&html, v); err != nil {
		http.Error(w, fmt.Sprintf("the page cannot be shown: %v", err), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Add("Vary", "Accept-Encoding")
	if !accepts(r.Header.Values("Accept-Encoding"), "gzip") {
		_, _ = html.WriteTo(w)
		return
	}
	// A page of 500 streams is read again every few seconds, perhaps by a phone.
	w.Header().Set("Content-Encoding", "gzip")
	packed := gzip.NewWriter(w)
	_, _ = html.WriteTo(packed)
	_ = packed.Close()
}

// count takes what len gives, too.
func count(n any) string {
	if length, ok := n.(int); ok {
		return human.Count(length)
	}
	value, _ := n.(int64)
	return human.Count(value)
}

// clock is a time for machines, and for people to look at twice.
func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// duration shows seconds that may be unknown.
func duration(seconds *float64) string {
	if seconds == nil {
		return ""
	}
	return human.Duration(time.Duration(*seconds * float64(time.Second)).Round(time.Second))
}

// share is part of whole in percent, at most 100, for the width of a bar.
func share(part, whole int64) int64 {
	if whole <= 0 {
		return 0
	}
	return min(100, int64(100*float64(part)/float64(whole)))
}

// Over reports whether the stream is well over its limit.
func (s Stream) Over() bool { return s.overLimit() }

// Percent is the length as a share of the limit.
func (s Stream) Percent() int64 {
	return percent(s.Entries, s.Limit)
}

// percent is part of whole, rounded; 0 where there is no whole.
func percent(part, whole int64) int64 {
	if whole <= 0 {
		return 0
	}
	return int64(100*float64(part)/float64(whole) + 0.5)
}
