package redisconn

import (
	"context"
	"fmt"
	"net"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// replied is an error reply as go-redis gives it.
func replied(t *testing.T, p *redistest.Proxy, client *redis.Client, text string) error {
	t.Helper()
	p.Set(func([]string) redistest.Fault { return redistest.Fault{Reply: text} })
	defer p.Set(nil)
	return client.Get(t.Context(), "x").Err()
}

func TestEachReplyHasItsClass(t *testing.T) {
	s := redistest.Start(t)
	p := redistest.StartProxy(t, s.Addr)
	client := redis.NewClient(&redis.Options{Addr: p.Addr, Protocol: 2, MaxRetries: -1, DisableIdentity: true})
	t.Cleanup(func() { _ = client.Close() })
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text  string
		class Class
		lost  bool
	}{
		{"LOADING Redis is loading the dataset in memory", ClassLoading, true},
		{"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", ClassLoading, true},
		{"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", ClassLoading, true},
		{"OOM command not allowed when used memory > 'maxmemory'.", ClassOOM, false},
		{"MISCONF Errors writing to the AOF file: No space left on device", ClassOther, true},
		{"NOREPLICAS Not enough good replicas to write.", ClassOther, true},
		{"NOAUTH Authentication required.", ClassAuth, true},
		{"WRONGPASS invalid username-password pair or user is disabled.", ClassAuth, true},
		{"NOPERM this user has no permissions to run the 'xtrim' command or its subcommand", ClassAuth, true},
		{"ERR Error running script (call to f_1): @user_script:2: @user_script: 2: -NOPERM this user has no permissions to run the 'xtrim' command", ClassAuth, true},
		{"ERR The user executing the script can't run this command or subcommand script: f_1, on @user_script:2.", ClassAuth, true},
		{"ERR ACL failure in script: User keeper has no permissions to run the 'hdel' command", ClassAuth, true},
		{"MOVED 1 127.0.0.1:1", ClassMoved, false},
		{"ASK 1 127.0.0.1:1", ClassMoved, false},
		{"TRYAGAIN Multiple keys request during rehashing of slot", ClassMoved, false},
		{"CLUSTERDOWN Hash slot not served", ClassMoved, false},
		{"WRONGTYPE Operation against a key holding the wrong kind of value", ClassWrongType, false},
		{"NOSCRIPT No matching script. Please use EVAL.", ClassNoScript, false},
		{"READONLY You can't write against a read only replica.", ClassReadOnly, true},
		{"ERR Error running script (call to f_1): @user_script:2: @user_script: 2: -READONLY You can't write against a read only replica.", ClassReadOnly, true},
		{"ERR Error running script (call to f_1): @user_script:2: @user_script: 2: -MISCONF Redis is configured to save RDB snapshots", ClassOther, true},
		{"ERR max number of clients reached", ClassConnection, true},
		{"ERR something new", ClassOther, false},
	} {
		err := fmt.Errorf("doing something: %w", replied(t, p, client, c.text))
		if got := ClassOf(err); got != c.class {
			t.Errorf("the class is %s, want %s: %v", got, c.class, err)
		}
		if got := IsLost(err); got != c.lost {
			t.Errorf("lost is %t: %v", got, err)
		}
	}
}

func TestClassOf(t *testing.T) {
	for text, want := range map[string]Class{
		"READONLY You can't write against a read only replica.":             ClassReadOnly,
		"LOADING Redis is loading the dataset in memory":                    ClassLoading,
		"MASTERDOWN Link with MASTER is down":                               ClassLoading,
		"BUSY Redis is busy running a script.":                              ClassLoading,
		"OOM command not allowed when used memory > 'maxmemory'.":           ClassOOM,
		"NOAUTH Authentication required.":                                   ClassAuth,
		"NOPERM this user has no permissions to run the 'xtrim' command":    ClassAuth,
		"WRONGPASS invalid username-password pair":                          ClassAuth,
		"CLUSTERDOWN The cluster is down":                                   ClassMoved,
		"TRYAGAIN Multiple keys request during rehashing of slot":           ClassMoved,
		"NOSCRIPT No matching script.":                                      ClassNoScript,
		"WRONGTYPE Operation against a key holding the wrong kind of value": ClassWrongType,
		"ERR syntax error": ClassOther,
		"ERR Error running script (call to f_1): @user_script:3: WRONGTYPE Opx": ClassWrongType,
	} {
		if got := ClassOf(fmt.Errorf("doing it: %w", replyError(text))); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	for err, want := range map[error]Class{
		context.DeadlineExceeded: ClassTimeout, redis.Nil: "", context.Canceled: "", ErrClock: ClassClock, net.ErrClosed: ClassConnection,
	} {
		if got := ClassOf(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}

type replyError string

func (e replyError) Error() string { return string(e) }
func (replyError) RedisError()     {}
