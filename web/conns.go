package web

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// maxConns bounds the connections at a time: enough for browsers, probes and
// scrapes, and few enough that their memory is small whatever they send.
const maxConns = 256

// conns bounds the connections of a server. One too many takes the place of the
// oldest that waits for a request, or has sent only a part of one, so that nobody
// can keep a probe out by opening connections.
type conns struct {
	net.Listener
	most int

	mu sync.Mutex
	// all is the number of the requests that each connection is being answered, and
	// order the connections from the oldest on.
	all   map[net.Conn]int
	order []net.Conn
}

func newConns(listener net.Listener, most int) *conns {
	return &conns{Listener: listener, most: most, all: make(map[net.Conn]int)}
}

// Accept implements [net.Listener].
func (c *conns) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		victim := c.add(conn)
		if victim != nil {
			_ = victim.Close()
		}
		if victim != conn {
			return conn, nil
		}
	}
}

// add takes a connection in, and returns the one that must go for it, which may
// be itself.
func (c *conns) add(conn net.Conn) (victim net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.all) >= c.most {
		victim = conn
		for _, old := range c.order {
			if c.all[old] == 0 {
				victim = old
				break
			}
		}
		if victim == conn {
			return victim
		}
		c.drop(victim)
	}
	c.all[conn] = 0
	c.order = append(c.order, conn)
	return victim
}

// drop forgets a connection. The caller holds mu.
func (c *conns) drop(conn net.Conn) {
	if _, known := c.all[conn]; !known {
		return
	}
	delete(c.all, conn)
	for i, old := range c.order {
		if old == conn {
			c.order = append(c.order[:i], c.order[i+1:]...)
			return
		}
	}
}

// state is told by the server what becomes of a connection.
func (c *conns) state(conn net.Conn, state http.ConnState) {
	if state == http.StateClosed || state == http.StateHijacked {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.drop(conn)
	}
}

type connKey struct{}

// context lets a request know its connection.
func (*conns) context(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// answering keeps the connection of a request that is being answered.
func (c *conns) answering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _ := r.Context().Value(connKey{}).(net.Conn)
		c.count(conn, 1)
		defer c.count(conn, -1)
		next.ServeHTTP(w, r)
	})
}

func (c *conns) count(conn net.Conn, change int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n, known := c.all[conn]; known {
		c.all[conn] = n + change
	}
}
