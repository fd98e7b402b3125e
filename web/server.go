// Package web serves what people and machines read of a running streamkeeper:
// liveness and a status page, health, status as JSON, metrics. Nothing can be
// changed through it.
//
// It knows none of the parts it tells of. Whoever starts the server supplies a
// function that gives the [Status], and a handler for the metrics.
package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Options of [New].
type Options struct {
	// Version is what GET / answers to anyone but a browser.
	Version string
	// Status gives the status; it may ask Redis for a sign of life, and is to
	// return when its context ends.
	Status func(context.Context) Status
	// Stream gives what is said of one stream, whose name may be any bytes; it is to
	// return when its context ends. Nil where there are no such pages.
	Stream func(ctx context.Context, name string) StreamPage
	// Alive says why the process can do nothing for itself any more; nil if it
	// cannot come to that.
	Alive func() error
	// Metrics serves GET /metrics; nil for none.
	Metrics http.Handler
	// Log hears of what goes wrong with connections, at debug; nil discards.
	Log *slog.Logger
	// Patience is how long answers that are under way at the end may take; 0 means
	// [DefaultPatience].
	Patience time.Duration
}

// DefaultPatience is more than any answer takes.
const DefaultPatience = 2 * time.Second

// Bounds of what a client may cost.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = time.Minute
	maxHeaderBytes    = 8 << 10
	maxBodyBytes      = 1 << 10
	// statusTimeout is less than what a probe or a person waits.
	statusTimeout = 3 * time.Second
)

// Server serves the status. Make one with [New].
type Server struct {
	o       Options
	page    page
	handler http.Handler
}

// New makes a server.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Alive == nil {
		o.Alive = func() error { return nil }
	}
	s := &Server{o: o, page: newPage()}
	s.handler = s.routes()
	return s
}

// Handler answers all requests.
func (s *Server) Handler() http.Handler { return s.handler }

// Listen binds an address such as ":8080"; with port 0 the listener says which
// port it got. [Server.Serve] takes it from there.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening for HTTP: %w", err)
	}
	return listener, nil
}

// Serve answers requests until ctx ends, then finishes those under way, within
// the patience, and returns nil. It closes the listener.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	bounded := newConns(listener, maxConns)
	server := &http.Server{
		Handler:           bounded.answering(s.handler),
		ConnContext:       bounded.context,
		ConnState:         bounded.state,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(s.o.Patience, DefaultPatience))
		defer cancel()
		stopped <- server.Shutdown(deadline)
	})
	err := server.Serve(bounded)
	if stop() { // it ended by itself
		return fmt.Errorf("serving HTTP: %w", err)
	}
	if err := <-stopped; err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("ending HTTP: %w", err)
	}
	// Whoever is still reading has had its time.
	_ = server.Close()
	return nil
}
