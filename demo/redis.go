package demo

import (
	"fmt"

	"github.com/alicebob/miniredis/v2"
)

// Redis is a Redis server within the program, on a free port of the loopback
// interface.
type Redis struct{ server *miniredis.Miniredis }

// StartRedis starts an empty server; the caller closes it.
func StartRedis() (*Redis, error) {
	m, err := miniredis.Run()
	if err != nil {
		return nil, fmt.Errorf("starting the embedded Redis: %w", err)
	}
	// Without this nothing ever expires there: no session key and no lease.
	m.ClockTTL(true)
	return &Redis{m}, nil
}

// Addr is the server's host:port.
func (r *Redis) Addr() string { return r.server.Addr() }

// URL is the server's address as REDIS_URL has it.
func (r *Redis) URL() string { return "redis://" + r.Addr() + "/0" }

// Close ends the server.
func (r *Redis) Close() { r.server.Close() }
