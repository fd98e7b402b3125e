package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// routes answers GET and HEAD; the multiplexer refuses every other method.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.root)
	mux.HandleFunc("GET /health", s.health)
	mux.HandleFunc("GET /status.json", s.statusJSON)
	if s.o.Stream != nil {
		mux.HandleFunc("GET /"+streamsPath, s.stream)
	}
	if s.o.Metrics != nil {
		mux.Handle("GET /metrics", s.o.Metrics)
	}
	for _, a := range loadAssets() {
		mux.Handle("GET /"+a.name, a)
	}
	return http.MaxBytesHandler(secured(mux), maxBodyBytes)
}

// secured keeps answers from being framed, sniffed, cached or extended with code
// that is not ours.
func secured(next http.Handler) http.Handler {
	const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
		"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// root is the liveness probe, and the page for whoever asks for HTML.
func (s *Server) root(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Vary", "Accept")
	if err := s.o.Alive(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	if !wantsHTML(r.Header.Values("Accept")) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = fmt.Fprintln(w, "streamkeeper", s.o.Version)
		return
	}
	s.page.serve(w, r, s.status(r))
}

// wantsHTML reports whether text/html is named in an Accept header, as browsers
// do; tools and probes accept anything.
func wantsHTML(accept []string) bool { return accepts(accept, "text/html") }

// accepts reports whether a header such as Accept names something, and not only to
// refuse it (q=0).
func accepts(values []string, name string) bool {
	for part := range strings.SplitSeq(strings.Join(values, ","), ",") {
		kind, params, err := mime.ParseMediaType(part)
		if err != nil || kind != name {
			continue
		}
		quality, err := strconv.ParseFloat(params["q"], 64)
		return err != nil || quality > 0
	}
	return false
}

func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	health := s.status(r).Health
	code := http.StatusOK
	if !health.OK {
		code = http.StatusServiceUnavailable
	}
	writeJSON(w, code, health)
}

func (s *Server) statusJSON(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, s.status(r).withoutNull())
}

// status asks for the status, with its health.
func (s *Server) status(r *http.Request) Status {
	ctx, cancel := context.WithTimeout(r.Context(), statusTimeout)
	defer cancel()
	status := s.o.Status(ctx)
	status.Health = healthOf(status)
	return status
}

func writeJSON(w http.ResponseWriter, code int, value any) {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil { // a figure that is no number
		http.Error(w, "the status cannot be written as JSON", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(oneLine(text), '\n'))
}

var listOfNumbers = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\[\n[-0-9,\s]*\]`) })

// oneLine puts lists of numbers on a line each, or they would be most of the
// text. In a string of JSON there is never a newline.
func oneLine(text []byte) []byte {
	return listOfNumbers().ReplaceAllFunc(text, func(list []byte) []byte {
		return bytes.Join(bytes.Fields(list), nil)
	})
}
