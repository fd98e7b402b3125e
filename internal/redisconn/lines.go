package redisconn

import (
	"context"
	"errors"
	"net"
	"sync"
)

// Lines are the open connections of a command, which can all be ended at once:
// go-redis awaits an answer until its time is over, whatever becomes of the
// context. The zero value is ready.
type Lines struct {
	mu  sync.Mutex
	all map[*line]struct{}
	cut bool
}

// errCut says that no command is to be awaited any more.
var errCut = errors.New("the connection was ended by us")

// Cut ends all connections, and lets no other be made.
func (l *Lines) Cut() {
	l.mu.Lock()
	all := l.all
	l.all, l.cut = nil, true
	l.mu.Unlock()
	for c := range all {
		_ = c.Conn.Close()
	}
}

// line is one connection.
type line struct {
	net.Conn
	of *Lines
}

// Close implements [net.Conn].
func (c *line) Close() error {
	c.of.mu.Lock()
	delete(c.of.all, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// dialFunc opens a connection.
type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// through has what a dialer opens be one of the lines.
func (l *Lines) through(dial dialFunc) dialFunc {
	if l == nil {
		return dial
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		c := &line{Conn: conn, of: l}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.cut {
			_ = conn.Close()
			return nil, errCut
		}
		if l.all == nil {
			l.all = make(map[*line]struct{})
		}
		l.all[c] = struct{}{}
		return c, nil
	}
}
