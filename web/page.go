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

// page renders what people read.
type page struct{ template *template.Template }

// view is what the template of the status is given.
type view struct {
	Status
	Base, Title string
	// Items are what needs attention.
	Items []item
	List  list
	// Hidden is how many of the next clean-up's actions are not shown.
	Hidden int64
}

// maxExamples is how many of the next clean-up's actions the page shows.
const maxExamples = 12

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
		"part":     part,
		"spark":    newSpark,
		"link":     linkOf,
		"shown":    shown,
	}
	t := template.New("page").Funcs(functions)
	for _, name := range []string{"frame.gohtml", "page.gohtml", "stream.gohtml"} {
		template.Must(t.Parse(string(readAsset(name))))
	}
	return page{t}
}

// serve shows the status.
func (p page) serve(w http.ResponseWriter, r *http.Request, s Status) {
	s = s.withoutNull()
	v := view{Status: s, List: newList(parseQuery(r), s.Streams), Items: append(failed(s.Health.Checks), items(s)...)}
	v.Title = "✓ streamkeeper"
	switch {
	case !s.Health.OK:
		v.Title = "✗ streamkeeper"
	case len(s.Health.Attention) > 0:
		v.Title = "! streamkeeper"
	}
	if s.Instance != "" {
		v.Title += " · " + s.Instance
	}
	v.NextCleanup.Examples = s.NextCleanup.Examples[:min(len(s.NextCleanup.Examples), maxExamples)]
	v.Hidden = s.NextCleanup.Actions() - int64(len(v.NextCleanup.Examples))
	p.render(w, r, http.StatusOK, "status", v)
}

// render writes a page.
func (p page) render(w http.ResponseWriter, r *http.Request, code int, name string, view any) {
	var html bytes.Buffer
	if err := p.template.ExecuteTemplate(&html, name, view); err != nil {
		http.Error(w, fmt.Sprintf("the page cannot be shown: %v", err), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Add("Vary", "Accept-Encoding")
	if !accepts(r.Header.Values("Accept-Encoding"), "gzip") {
		w.WriteHeader(code)
		_, _ = html.WriteTo(w)
		return
	}
	// A page is read again every few seconds, perhaps by a phone.
	w.Header().Set("Content-Encoding", "gzip")
	w.WriteHeader(code)
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

// part is a share of a whole in twentieths, at most all of them, for the class of a
// bar.
func part(share, whole int64) int64 {
	if whole <= 0 {
		return 0
	}
	return min(20, int64(20*float64(share)/float64(whole)+0.5))
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
