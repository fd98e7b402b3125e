package buffer

import "github.com/streamkeeper/streamkeeper/internal/redisconn"

// What trim still calls by its former name.
type (
	// Connection says how to reach Redis.
	Connection = redisconn.Connection
	// Class is the kind of an error.
	Class = redisconn.Class
)

// The classes of errors that trim tells apart.
const (
	ClassAuth      = redisconn.ClassAuth
	ClassWrongType = redisconn.ClassWrongType
)

// ErrClock is [redisconn.ErrClock].
var ErrClock = redisconn.ErrClock

// ClassOf sorts an error into its class; see [redisconn.ClassOf].
func ClassOf(err error) Class { return redisconn.ClassOf(err) }
