package redisconn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/escape"
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
	// ErrReadOnly is returned for a write through a read-only connection.
	ErrReadOnly = errors.New("this connection only reads")
	// ErrResharding is returned when slots of a cluster moved so much during a
	// scan of the keyspace that keys may have been missed.
	ErrResharding = errors.New("the cluster's slots are moving: the scan of the keyspace may have missed keys")
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
	switch {
	case errors.Is(err, ErrClock):
		return ClassClock
	case errors.Is(err, ErrResharding):
		return ClassMoved
	case errors.Is(err, ErrReplica):
		return ClassReadOnly
	}
	if reply, ok := errors.AsType[redis.Error](err); ok {
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
// command inside a script returned: "… @user_script:1: WRONGTYPE …", or
// "… @user_script: 1: -OOM …".
func afterCall(text string) string {
	i := strings.LastIndex(text, "@user_script")
	if i < 0 {
		return ""
	}
	_, rest, _ := strings.Cut(strings.TrimLeft(text[i+len("@user_script"):], ": "), ": ")
	return firstWord(rest)
}

func replyClass(text string) Class {
	switch {
	case strings.Contains(text, "invalid password"), strings.Contains(text, "without any password"),
		strings.Contains(text, "ACL"), strings.Contains(text, "user executing the script"):
		return ClassAuth
	case strings.Contains(text, "max number of clients"):
		return ClassConnection
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
	case isHandshake(err):
		return ClassConnection
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, redis.ErrClosed),
		errors.As(err, &network):
		return ClassConnection
	}
	return ClassOther
}

// isHandshake reports whether the two sides could not agree on TLS.
func isHandshake(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	return errors.As(err, &certificate) || errors.As(err, &record) || errors.Is(err, errPlainPort) || errors.Is(err, errTLSPort)
}

// IsLost reports whether an error means that the way to Redis is broken, or
// that it takes no writes at all, so that going on to the next item is of no
// use.
func IsLost(err error) bool {
	switch ClassOf(err) {
	case ClassConnection, ClassTimeout, ClassAuth, ClassLoading, ClassReadOnly:
		return true
	}
	return err != nil && (errors.Is(err, context.Canceled) || refusesWrites(err))
}

// refusesWrites reports whether Redis takes no write from anybody: it cannot
// save to its disk, or has too few replicas.
func refusesWrites(err error) bool {
	var reply redis.Error
	if !errors.As(err, &reply) {
		return false
	}
	for _, word := range []string{firstWord(reply.Error()), afterCall(reply.Error())} {
		if word = strings.TrimPrefix(word, "-"); word == "MISCONF" || word == "NOREPLICAS" {
			return true
		}
	}
	return false
}

// missingRight names the ACL rule's word that would have let a command pass;
// "" if an error is about something else.
func missingRight(cmd redis.Cmder, err error) string {
	var reply redis.Error
	if !errors.As(err, &reply) || ClassOf(err) != ClassAuth {
		return ""
	}
	text := reply.Error()
	switch {
	case strings.Contains(text, " key"):
		return "to the key in " + strings.ToUpper(commandName(cmd)) + keyOf(cmd)
	case !strings.Contains(text, "permission") && !strings.Contains(text, "can't run this command"):
		return ""
	}
	// "… to run the 'config|get' command"; 6.2 leaves the subcommand out, and
	// of what a script may not call servers before 7.2 only say the line.
	if call, ok := cmd.(*scriptCmd); ok {
		var line int
		if _, after, found := strings.Cut(text, "@user_script:"); found {
			_, _ = fmt.Sscanf(after, "%d", &line)
		}
		if calls := call.script.callsAt(line); len(calls) > 0 && !strings.Contains(text, "the '") {
			return strings.Join(calls, " or ")
		}
	}
	if _, quoted, ok := strings.Cut(text, "the '"); ok && !strings.Contains(text, "or its subcommand") {
		name, _, _ := strings.Cut(quoted, "'")
		return "+" + name
	}
	return "+" + strings.ReplaceAll(commandName(cmd), " ", "|")
}

func keyOf(cmd redis.Cmder) string {
	args, at := cmd.Args(), 1
	switch cmd.Name() {
	case "eval", "evalsha", "eval_ro", "evalsha_ro":
		at = 3
	case "xinfo", "memory":
		at = 2
	}
	if len(args) <= at {
		return ""
	}
	return " " + escape.Quote(fmt.Sprint(args[at]))
}
