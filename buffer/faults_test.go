package buffer

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestABlackHoleEndsACommandWithItsRetriesAfterTheTimeout(t *testing.T) {
	const timeout = 500 * time.Millisecond
	s := redistest.Start(t)
	p := redistest.StartProxy(t, s.Addr)
	var seen atomic.Value
	b := openAs(t, redisconn.Connection{URL: p.URL(), Timeout: timeout}, func(o *Options) { o.OnError = func(c redisconn.Class) { seen.Store(c) } })
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
		if redisconn.ClassOf(err) != redisconn.ClassTimeout || seen.Load() != redisconn.ClassTimeout {
			t.Errorf("%s: class %s, counted %v: %v", name, redisconn.ClassOf(err), seen.Load(), err)
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
	b := openAs(t, redisconn.Connection{URL: c.URL(), Timeout: timeout})
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
	if failed == nil || redisconn.ClassOf(failed) != redisconn.ClassTimeout {
		t.Errorf("the class is %q: %v", redisconn.ClassOf(failed), failed)
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
	t.Parallel()
	s := redistest.Start(t)
	p := redistest.StartProxy(t, s.Addr)
	b := openAs(t, redisconn.Connection{URL: p.URL() + "?pool_size=1&pool_timeout=100ms&max_retries=-1", Timeout: time.Second})
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
	if err := b.Ping(t.Context()); redisconn.ClassOf(err) != redisconn.ClassTimeout {
		t.Errorf("the class is %q: %v", redisconn.ClassOf(err), err)
	}
	if err := <-done; redisconn.ClassOf(err) != redisconn.ClassTimeout {
		t.Errorf("the class is %q: %v", redisconn.ClassOf(err), err)
	}
}

// An error of whoever visits the sessions is not the Hash's.
func TestAnErrorOfTheVisitorIsNotTakenForAHashOfAnotherType(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	b := open(t, s.URL(), nil)
	writeSession(t.Context(), s.Client, registry.Object, "a", "car", 1)
	s.Client.Set(t.Context(), "text", "x", 0)
	visits := 0
	err := b.WalkSessions(t.Context(), func([]registry.Session) error {
		visits++
		return s.Client.SMIsMember(t.Context(), "text", "car").Err()
	})
	if redisconn.ClassOf(err) != redisconn.ClassWrongType || visits != 1 {
		t.Errorf("visited %d times: %v", visits, err)
	}
}

func TestTheFullestMasterIsTheOneThatUsesMostOfItsLimit(t *testing.T) {
	t.Parallel()
	nodes := []NodeMemory{{"unlimited", 900, 0}, {"nearly full", 99, 100}, {"half full", 500, 1000}}
	if got := fullest(nodes); got.Node != "nearly full" {
		t.Errorf("%+v", got)
	}
	if got := fullest([]NodeMemory{{"small", 1, 0}, {"large", 2, 0}}); got.Node != "large" {
		t.Errorf("%+v", got)
	}
}
