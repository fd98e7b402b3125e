package web

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/escape"
)

// StreamPage is what is said of one stream. Names and texts are escaped already.
type StreamPage struct {
	Frame
	Name string
	// Known: there is, or was, a stream of that name. Others: our patterns leave it to
	// others.
	Known, Others bool
	// Trouble is why Redis could not be asked for it, empty if it was at Read.
	Trouble string
	Read    time.Time
	Leader  Leader
	// Figures and Points are those of the last reading and of the last hours; nil and
	// empty where there are none here.
	Figures *Stream
	Points  []Point
	// Facts, Sessions and History are what explain says.
	Facts             []Fact
	Sessions, History []string
	// Trims are what was trimmed, by the hour, the newest first.
	Trims []Trim
}

// Fact is one thing that is said.
type Fact struct{ Name, Text string }

// Trim is what was trimmed in an hour.
type Trim struct {
	Hour time.Time
	// Entries and about what they took, 0 if not known.
	Entries, Bytes int64
	Text           string
}

// streamView is what the template is given.
type streamView struct {
	StreamPage
	Base, Title string
	Pictures    []picture
}

// Quoted is the name as a shell takes it.
func (v streamView) Quoted() string { return quoted(v.Name) }

// Search leads to streams with names like it.
func (v streamView) Search() string {
	return v.Base + "?" + url.Values{"q": {v.Name}}.Encode() + "#streams"
}

// stream is the page of one stream, for browsers, and the same as text for others.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Vary", "Accept")
	name, plain, err := nameOf(strings.TrimPrefix(r.URL.EscapedPath(), "/"+streamsPath))
	if err != nil {
		http.Error(w, fmt.Sprintf("the name of the stream: %v", err), http.StatusBadRequest)
		return
	}
	if link := linkOf(escape.Name(name)); !plain && link != "" {
		// Links in the page are relative.
		w.Header().Set("Location", strings.Repeat("../", strings.Count(r.URL.EscapedPath(), "/")-1)+link)
		w.WriteHeader(http.StatusFound)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), statusTimeout)
	defer cancel()
	p := s.o.Stream(ctx, name)
	code := http.StatusOK
	switch {
	case p.Trouble != "":
		code = http.StatusServiceUnavailable
	case !p.Known:
		code = http.StatusNotFound
	}
	if !wantsHTML(r.Header.Values("Accept")) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(code)
		_, _ = w.Write(p.text())
		return
	}
	v := streamView{StreamPage: p, Base: "../", Title: "streamkeeper · " + shown(p.Name)}
	if p.Figures != nil {
		v.Pictures = picturesOf(p.Time, p.Points, p.Figures)
	}
	s.page.render(w, r, code, "stream", v)
}

// text is the page for those who read no HTML.
func (p StreamPage) text() []byte {
	var b bytes.Buffer
	line := func(name, text string) { fmt.Fprintf(&b, "%-10s %s\n", name, text) }
	line("stream", p.Name)
	switch {
	case p.Trouble != "":
		line("error", p.Trouble)
	case !p.Known:
		line("error", "there is no such stream")
	}
	for _, f := range p.Facts {
		line(f.Name, f.Text)
	}
	for _, text := range p.Sessions {
		line("session", text)
	}
	for _, text := range p.History {
		line("history", text)
	}
	return b.Bytes()
}
