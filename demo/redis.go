package demo

import (
	"fmt"

	"github.com/alicebob/miniredis/v2"
)

// Redis is a Redis server within the program.
type Redis struct{ server *miniredis.Miniredis }

// FreeAddress is a free port of the loopback interface.
const FreeAddress = "127.0.0.1:0"

// StartRedis starts an empty server at an address; the caller closes it.
func StartRedis(address string) (*Redis, error) {
	m := miniredis.NewMiniRedis()
	if err := m.StartAddr(address); err != nil {
		return nil, fmt.Errorf("starting the embedded Redis at %s: %w", address, err)
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
