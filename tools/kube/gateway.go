package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
)

// gateway takes what runs push, as a Pushgateway that wants a password.
type gateway struct {
	url string

	mu     sync.Mutex
	groups []string
}

// startGateway starts one that ends with the context.
func startGateway(ctx context.Context) (*gateway, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &gateway{url: "http://keeper:gateway-secret@" + l.Addr().String()}
	server := &http.Server{Handler: g} //nolint:gosec // of this machine's own processes
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() { _ = server.Serve(l) }()
	return g, nil
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	text, err := io.ReadAll(r.Body)
	switch {
	case user != "keeper" || password != "gateway-secret":
		w.WriteHeader(http.StatusUnauthorized)
	case err != nil || !strings.Contains(string(text), "streamkeeper_"):
		w.WriteHeader(http.StatusBadRequest)
	default:
		g.mu.Lock()
		defer g.mu.Unlock()
		g.groups = append(g.groups, r.URL.Path)
	}
}

// take returns the groups that were pushed since it was last called; none is an error.
func (g *gateway) take() ([]string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	groups := g.groups
	g.groups = nil
	if len(groups) == 0 {
		return nil, fmt.Errorf("nothing came to the Pushgateway at %s", g.url)
	}
	return groups, nil
}
