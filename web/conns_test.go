package web

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestHalfSentRequestsStaySmallAndKeepNobodyOut(t *testing.T) {
	listener, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	server := New(Options{Version: "v", Status: func(context.Context) Status { return Status{} }})
	go func() { done <- server.Serve(ctx, listener) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	before := runtime.NumGoroutine()
	const attackers = 3 * maxConns
	ended := make(chan struct{}, attackers)
	for range attackers {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\nX: "); err != nil {
			continue // it had to make place already
		}
		go func() {
			_, _ = io.Copy(io.Discard, conn)
			ended <- struct{}{}
		}()
	}
	for range attackers - maxConns {
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Fatal("more connections are open than may be")
		}
	}
	// One for each connection here, and one there.
	if now := runtime.NumGoroutine(); now > before+2*maxConns+20 {
		t.Errorf("%d goroutines, %d before", now, before)
	}
	client := http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String()+"/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("the probe got %d", answer.StatusCode)
	}
}

func TestAConnectionThatIsBeingAnsweredIsKept(t *testing.T) {
	a, b := net.Pipe()
	x, y := net.Pipe()
	defer func() {
		for _, conn := range []net.Conn{a, b, x, y} {
			_ = conn.Close()
		}
	}()
	c := newConns(nil, 1)
	if victim := c.add(a); victim != nil {
		t.Fatal("the first has to go")
	}
	c.count(a, 1)
	if victim := c.add(b); victim != b {
		t.Error("a connection that is being answered makes place")
	}
	c.count(a, -1)
	if victim := c.add(b); victim != a {
		t.Error("a connection that waits makes no place")
	}
	c.state(b, http.StateClosed)
	if victim := c.add(x); victim != nil {
		t.Error("one that ended makes no place")
	}
}

func TestHeadersAreBounded(t *testing.T) {
	listener, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- New(Options{Status: func(context.Context) Status { return Status{} }}).Serve(ctx, listener)
	}()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String()+"/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X", strings.Repeat("x", 2*maxHeaderBytes+8192))
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %d", answer.StatusCode)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
