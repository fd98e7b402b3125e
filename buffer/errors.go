package buffer

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Class says what kind of trouble an error of Redis or of the way to it is;
// it is the class label of streamkeeper_redis_errors_total.
type Class string

// The classes of errors.
const (
	ClassReadOnly   Class = "readonly"   // a replica, or a failover under way
	ClassLoading    Class = "loading"    // the server is reading its data, or cannot serve it just now
	ClassOOM        Class = "oom"        // maxmemory is reached; what deletes still works
	ClassAuth       Class = "auth"       // wrong password, or a right is missing
	ClassTimeout    Class = "timeout"    // no answer in time
	ClassConnection Class = "connection" // refused, reset, closed
	ClassMoved      Class = "moved"      // a slot moves, or the cluster is down
	ClassWrongType  Class = "wrongtype"  // a key holds another type
	ClassNoScript   Class = "noscript"   // the server forgot a script
	ClassClock      Class = "clock"      // Redis's clock and ours disagree
	ClassOther      Class = "other"
)

// Classes lists every class, for metrics that start at 0.
var Classes = []Class{
	ClassReadOnly, ClassLoading, ClassOOM, ClassAuth, ClassTimeout, ClassConnection,
	ClassMoved, ClassWrongType, ClassNoScript, ClassClock, ClassOther,
}

// Errors of this package.
var (
	// ErrClock is returned when Redis's clock and this machine's differ by
	// more than [MaxClockDifference]: no age can be trusted then.
	ErrClock = errors.New("the clocks of Redis and of this machine disagree")
	// ErrReadOnly is returned for a write through a read-only buffer.
	ErrReadOnly = errors.New("this connection only reads")
	// ErrTooOld is returned by Open for a server before [MinVersion].
	ErrTooOld = errors.New("the Redis server is too old")
)

// prefixes of Redis's error replies and the class each belongs to.
var prefixes = map[string]Class{
	"READONLY":    ClassReadOnly,
	"LOADING":     ClassLoading,
	"MASTERDOWN":  ClassLoading,
	"BUSY":        ClassLoading,
	"OOM":         ClassOOM,
	"NOAUTH":      ClassAuth,
	"WRONGPASS":   ClassAuth,
	"NOPERM":      ClassAuth,
	"MOVED":       ClassMoved,
	"ASK":         ClassMoved,
	"TRYAGAIN":    ClassMoved,
	"CLUSTERDOWN": ClassMoved,
	"CROSSSLOT":   ClassMoved,
	"WRONGTYPE":   ClassWrongType,
	"NOSCRIPT":    ClassNoScript,
}

// ClassOf sorts an error into its class; "" for nil and for what is no
// trouble of Redis's: an empty reply, or a run that was told to stop.
func ClassOf(err error) Class {
	if err == nil || errors.Is(err, redis.Nil) || errors.Is(err, context.Canceled) {
		return ""
	}
	if errors.Is(err, ErrClock) {
		return ClassClock
	}
	var reply redis.Error
	if errors.As(err, &reply) {
		text := reply.Error()
		// A script's error begins "ERR Error running script" before 7.0.
		for _, word := range []string{firstWord(text), afterCall(text)} {
			if class, ok := prefixes[strings.TrimPrefix(word, "-")]; ok {
				return class
			}
		}
		return replyClass(text)
	}
	return networkClass(err)
}

func firstWord(text string) string {
	word, _, _ := strings.Cut(text, " ")
	return word
}

// afterCall finds the inner error code in 6.2's wrapping of an error that a
// command inside a script returned: "… @user_script:1: -WRONGTYPE …".
func afterCall(text string) string {
	if i := strings.LastIndex(text, "@user_script"); i >= 0 {
		if _, rest, ok := strings.Cut(text[i:], ": "); ok {
			return firstWord(strings.TrimPrefix(rest, "@user_script: "))
		}
	}
	return ""
}

func replyClass(text string) Class {
	switch {
	case strings.Contains(text, "invalid password"), strings.Contains(text, "without any password"),
		strings.Contains(text, "ACL"):
		return ClassAuth
	case strings.Contains(text, "OOM"):
		return ClassOOM
	}
	return ClassOther
}

func networkClass(err error) Class {
	var network net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.Is(err, redis.ErrPoolTimeout):
		return ClassTimeout
	case errors.As(err, &network) && network.Timeout():
		return ClassTimeout
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, redis.ErrClosed),
		errors.As(err, &network):
		return ClassConnection
	}
	return ClassOther
}

// IsLost reports whether an error means that the way to Redis is broken, so
// that asking for the next item is of no use.
func IsLost(err error) bool {
	switch ClassOf(err) {
	case ClassConnection, ClassTimeout, ClassAuth, ClassLoading, ClassReadOnly:
		return true
	}
	return err != nil && errors.Is(err, context.Canceled)
}
