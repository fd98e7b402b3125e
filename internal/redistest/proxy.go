package redistest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Fault is what happens to one command on its way through a [Proxy]. The zero
// value lets it pass.
type Fault struct {
	// Reply answers in the server's place, which never sees the command: an
	// error's text, without the leading "-".
	Reply string
	// Delay holds the command back.
	Delay time.Duration
	// Hole swallows the command and all that follow it on its connection.
	Hole bool
	// Reset resets the connection in the command's place.
	Reset bool
	// Lose lets the server work and resets the connection in its answer's
	// place; Cut, in the middle of its answer.
	Lose, Cut bool
	// Rewrite changes the server's answer, which is RESP.
	Rewrite func(answer []byte) []byte
}

// Proxy stands between a client and a server, sees each command, those in
// pipelines too, and makes the faults that a test asks for.
type Proxy struct {
	// Addr is host:port.
	Addr string

	upstream string
	listener net.Listener
	wg       sync.WaitGroup

	mu     sync.Mutex
	fault  func(command []string) Fault
	conns  map[net.Conn]bool
	closed bool
	down   bool
}

// StartProxy starts a proxy that ends with the test and lets everything pass.
func StartProxy(t testing.TB, upstream string) *Proxy {
	t.Helper()
	return StartProxyAt(t, "127.0.0.1:0", upstream)
}

// StartProxyAt is StartProxy at an address of the test's choice.
func StartProxyAt(t testing.TB, addr, upstream string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), upstream: upstream, listener: l, conns: make(map[net.Conn]bool)}
	p.Set(nil)
	p.wg.Go(p.accept)
	t.Cleanup(p.Stop)
	return p
}

// URL is the proxy's address for streamkeeper.
func (p *Proxy) URL() string { return "redis://" + p.Addr + "/0" }

// Set changes what happens to commands from now on; nil lets all pass.
func (p *Proxy) Set(fault func(command []string) Fault) {
	if fault == nil {
		fault = func([]string) Fault { return Fault{} }
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = fault
}

// Down has the proxy end all connections and accept none, or accept them again.
func (p *Proxy) Down(down bool) {
	p.mu.Lock()
	p.down = down
	p.mu.Unlock()
	if down {
		p.Reset()
	}
}

// Reset resets all connections.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		reset(conn)
	}
	clear(p.conns)
}

// Stop ends the proxy.
func (p *Proxy) Stop() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.listener.Close()
	p.Reset()
	p.wg.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.upstream)
		if err != nil || !p.keep(client, server) {
			reset(client)
			if server != nil {
				reset(server)
			}
			continue
		}
		l := &link{proxy: p, client: client, server: server, due: make(chan Fault, 4096), dead: make(chan struct{})}
		p.wg.Go(l.commands)
		p.wg.Go(l.answers)
	}
}

func (p *Proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.down {
		return false
	}
	for _, conn := range conns {
		p.conns[conn] = true
	}
	return true
}

func (p *Proxy) judge(command []string) Fault {
	p.mu.Lock()
	fault := p.fault
	p.mu.Unlock()
	return fault(command)
}

func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// link is one client's way to the server.
type link struct {
	proxy          *Proxy
	client, server net.Conn
	due            chan Fault // for each command, how it is answered
	dead           chan struct{}
}

// commands reads what the client asks and passes it on.
func (l *link) commands() {
	defer close(l.due)
	in := bufio.NewReader(l.client)
	for {
		raw, words, err := readCommand(in)
		if err != nil {
			l.end()
			return
		}
		f := l.proxy.judge(words)
		if f.Delay > 0 {
			select {
			case <-time.After(f.Delay):
			case <-l.dead:
			}
		}
		switch {
		case f.Hole:
			_, _ = io.Copy(io.Discard, in)
			l.end()
			return
		case f.Reset:
			l.end()
			return
		case f.Reply == "":
			if _, err := l.server.Write(raw); err != nil {
				l.end()
				return
			}
		}
		select {
		case l.due <- f:
		case <-l.dead:
			return
		}
	}
}

// answers gives the client one answer for each command, in their order.
func (l *link) answers() {
	defer close(l.dead)
	defer l.end()
	in := bufio.NewReader(l.server)
	for f := range l.due {
		answer := []byte("-" + f.Reply + "\r\n")
		if f.Reply == "" {
			var err error
			if answer, err = readAnswer(in, nil); err != nil {
				return
			}
		}
		switch {
		case f.Lose:
			return
		case f.Cut:
			_, _ = l.client.Write(answer[:len(answer)/2])
			return
		case f.Rewrite != nil:
			answer = f.Rewrite(answer)
		}
		if _, err := l.client.Write(answer); err != nil {
			return
		}
	}
}

func (l *link) end() {
	l.proxy.mu.Lock()
	delete(l.proxy.conns, l.client)
	delete(l.proxy.conns, l.server)
	l.proxy.mu.Unlock()
	reset(l.client)
	reset(l.server)
}

// readCommand reads an array of bulk strings, and returns its bytes and words.
func readCommand(r *bufio.Reader) (raw []byte, words []string, err error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, nil, err
	}
	raw = append(raw, line...)
	n, err := strconv.Atoi(strings.Trim(line, "*\r\n"))
	if err != nil {
		return nil, nil, fmt.Errorf("reading a command: %w", err)
	}
	for range n {
		if line, err = r.ReadString('\n'); err != nil {
			return nil, nil, err
		}
		raw = append(raw, line...)
		size, err := strconv.Atoi(strings.Trim(line, "$\r\n"))
		if err != nil {
			return nil, nil, fmt.Errorf("reading a command: %w", err)
		}
		word := make([]byte, size+2)
		if _, err := io.ReadFull(r, word); err != nil {
			return nil, nil, err
		}
		raw = append(raw, word...)
		words = append(words, string(word[:size]))
	}
	return raw, words, nil
}

// readAnswer appends one whole answer in RESP2 to raw.
func readAnswer(r *bufio.Reader, raw []byte) ([]byte, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	raw = append(raw, line...)
	n, _ := strconv.Atoi(strings.TrimSpace(line[1:]))
	switch line[0] {
	case '$':
		if n < 0 {
			return raw, nil
		}
		text := make([]byte, n+2)
		if _, err := io.ReadFull(r, text); err != nil {
			return nil, err
		}
		return append(raw, text...), nil
	case '*':
		for range n {
			if raw, err = readAnswer(r, raw); err != nil {
				return nil, err
			}
		}
	}
	return raw, nil
}
