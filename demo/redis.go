package demo

import (
	"errors"
	"fmt"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/streamkeeper/streamkeeper/buffer"
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

var errNotOneServer = errors.New("the producers write to one server: want redis://host:6379/0, and neither a cluster nor Sentinels")

// Dial opens a client of one Redis server for the producers; the caller closes
// it. No connection is made yet. The error never holds the URL.
func Dial(url string) (redis.UniversalClient, error) {
	if err := (buffer.Connection{URL: url}).Validate(); err != nil {
		return nil, fmt.Errorf("reading the Redis URL: %w", err)
	}
	o, err := redis.ParseURL(url)
	if err != nil {
		return nil, errNotOneServer
	}
	o.Protocol = 2
	o.ContextTimeoutEnabled = true
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return redis.NewClient(o), nil
}
