package redisconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Errors of a server that is not what it is taken for.
var (
	// ErrNoHello is a server that says nothing of itself.
	ErrNoHello = errors.New("it does not know HELLO, so it is a Redis before 6.2 or a proxy that hides the server: name the server itself")
	// ErrSentinel is a Sentinel that a URL names as the data server.
	ErrSentinel = errors.New("it is a Sentinel and holds no data: add ?master_name=, the name that it knows the master by, to the URL")
)

// errFull is a server that takes no more clients, which says so with fullReply.
var errFull = errors.New("it has no room for another client: raise its maxclients, or find who holds the connections (CLIENT LIST)")

const fullReply = "max number of clients"

// explain says in words what went wrong while a connection was opened, and what
// may mend it.
func (c Connection) explain(ctx context.Context, err error) error {
	text := err.Error()
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded) && errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer in time: %w", err)
	case redis.HasErrorPrefix(err, "NOAUTH"):
		return c.explainPassword("it wants a password", err)
	case redis.HasErrorPrefix(err, "WRONGPASS"), strings.Contains(text, "ERR invalid password"):
		return c.explainPassword("wrong user or password", err)
	case strings.Contains(text, "unknown command") && strings.Contains(strings.ToUpper(text), "HELLO"):
		return fmt.Errorf("%w: %w", ErrNoHello, err)
	case strings.Contains(text, "SELECT is not allowed in cluster mode"):
		return fmt.Errorf("a Redis Cluster has database 0 only: %w", err)
	case strings.Contains(text, "DB index is out of range"):
		return fmt.Errorf("it has no database %d: see its setting databases: %w", c.Database(), err)
	case strings.Contains(text, "cluster support disabled"):
		return fmt.Errorf("the URL names several servers as those of a cluster, and they are none: %w", err)
	}
	if probed := c.probe(ctx, err); probed != nil {
		return fmt.Errorf("%w: %w", probed, err)
	}
	return err
}

// explainPassword says where passwords are set.
func (c Connection) explainPassword(what string, err error) error {
	t, _ := c.target()
	hint := "set REDIS_PASSWORD or REDIS_PASSWORD_FILE, and REDIS_USERNAME unless the user is default"
	if t.user != "" && t.password == "" && c.Password == "" && c.PasswordFile == "" {
		hint = "the URL has a user and no password; a password alone is written redis://:password@host"
	}
	return fmt.Errorf("%s: %s: %w", what, hint, err)
}

// probe looks once more at a port that broke off without a word, or with words
// that are none of Redis's: a server without room says so and closes before it is
// asked, and one that wants TLS says nothing that can be read.
func (c Connection) probe(ctx context.Context, err error) error {
	t, _ := c.target()
	if t.tlsConfig() != nil || c.usesTLSFiles() || t.shape != ofServer || t.socket != "" {
		return nil
	}
	if _, replied := errors.AsType[redis.Error](err); replied && !strings.Contains(err.Error(), fullReply) {
		return nil
	}
	// The time for opening may be over; these are bounded by themselves.
	ctx = context.WithoutCancel(ctx)
	dialer := &net.Dialer{Timeout: c.Timeout, Resolver: c.Resolver}
	switch {
	case strings.Contains(err.Error(), fullReply), strings.Contains(greeting(ctx, dialer, t.addrs[0]), fullReply):
		return errFull
	case speaksTLS(ctx, dialer, "tcp", t.addrs[0]):
		return errTLSPort
	}
	return nil
}
