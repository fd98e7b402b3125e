package redisconn

import (
	"cmp"

	"github.com/redis/go-redis/v9"
)

// Client opens a client of its own, for who writes to the buffer as a producer
// does; the caller closes it. No connection is made yet.
func (c Connection) Client() (redis.UniversalClient, error) {
	quietClient()
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	return c.client(nil)
}
