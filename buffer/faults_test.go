package buffer

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

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

func TestABlackHoleEndsACommandWithItsRetriesAfterTheTimeout(t *testing.T) {
	const timeout = 500 * time.Millisecond
	s := redistest.Start(t)
	p := redistest.StartProxy(t, s.Addr)
	var seen atomic.Value
	b := openAs(t, Connection{URL: p.URL(), Timeout: timeout}, func(o *Options) { o.OnError = func(c Class) { seen.Store(c) } })
	p.Set(func([]string) redistest.Fault { return redistest.Fault{Hole: true} })
	for name, call := range map[string]func() error{
		"a command":  func() error { _, err := b.CountStreams(t.Context()); return err },
		"a pipeline": func() error { _, err := b.Lengths(t.Context(), []string{"a", "b"}); return err },
	} {
		started := time.Now()
		err := call()
		if took := time.Since(started); took > timeout*3/2 {
			t.Errorf("%s took %s", name, took)
		}
		if ClassOf(err) != ClassTimeout || seen.Load() != ClassTimeout {
			t.Errorf("%s: class %s, counted %v: %v", name, ClassOf(err), seen.Load(), err)
		}
	}
	p.Set(nil)
	if _, err := b.CountStreams(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestAMasterThatHangsEndsACommandAfterTheTimeout(t *testing.T) {
	const timeout = 500 * time.Millisecond
	c := redistest.StartCluster(t, 3, false)
	b := openAs(t, Connection{URL: c.URL(), Timeout: timeout})
	var names []string
	for i := range 30 {
		names = append(names, fmt.Sprint("s", i))
	}
	if _, err := b.Lengths(t.Context(), names); err != nil {
		t.Fatal(err)
	}
	hung := c.Masters[2].PID()
	if err := syscall.Kill(hung, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	lengths, err := b.Lengths(t.Context(), names)
	took := time.Since(started)
	if err := syscall.Kill(hung, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	// Less than if each of the tries had the time to itself.
	if took > timeout*3 {
		t.Errorf("it took %s", took)
	}
	failed := err
	for _, l := range lengths {
		failed = errors.Join(failed, l.Err)
	}
	if failed == nil || ClassOf(failed) != ClassTimeout {
		t.Errorf("the class is %q: %v", ClassOf(failed), failed)
	}
	redistest.Await(t, "the cluster to be well again", func() bool {
		lengths, err := b.Lengths(t.Context(), names)
		for _, l := range lengths {
			err = errors.Join(err, l.Err)
		}
		return err == nil
	})
}

func TestAPoolThatRunsDryIsATimeout(t *testing.T) {
	s := redistest.Start(t)
	p := redistest.StartProxy(t, s.Addr)
	b := openAs(t, Connection{URL: p.URL() + "?pool_size=1&pool_timeout=100ms&max_retries=-1", Timeout: time.Second})
	held := make(chan struct{})
	p.Set(func(command []string) redistest.Fault {
		if strings.EqualFold(command[0], "scard") {
			close(held)
			return redistest.Fault{Hole: true}
		}
		return redistest.Fault{}
	})
	done := make(chan error, 1)
	go func() { _, err := b.CountStreams(t.Context()); done <- err }()
	<-held
	if err := b.Ping(t.Context()); ClassOf(err) != ClassTimeout {
		t.Errorf("the class is %q: %v", ClassOf(err), err)
	}
	if err := <-done; ClassOf(err) != ClassTimeout {
		t.Errorf("the class is %q: %v", ClassOf(err), err)
	}
}

func TestTwoKeepersNotesOfOneStreamNeverHaveTheSameTime(t *testing.T) {
	s := redistest.Start(t)
	b := openAs(t, Connection{URL: s.URL()})
	var last time.Time
	for range 200 {
		n, err := b.remember(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		if !n.at.After(last) {
			t.Fatalf("a note at %s after one at %s", n.at, last)
		}
		last = n.at
	}
}
