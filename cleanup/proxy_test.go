package cleanup_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// proxy stands between clean-up and Redis, and sees each command before Redis
// does, those in pipelines too.
type proxy struct {
	// before is called with the number of the command, from 1, and its name;
	// an error ends all connections for good, as the death of the process
	// does.
	before func(n int, command string) error
	// only is the one command that counts; empty for all.
	only string

	listener net.Listener
	upstream string
	mu       sync.Mutex
	n        int
	dead     bool
	conns    []net.Conn
	wg       sync.WaitGroup
}

func startProxy(t *testing.T, upstream, only string, before func(n int, command string) error) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{before: before, only: only, listener: l, upstream: upstream}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		p.die()
		p.wg.Wait()
	})
	return p
}

// url has go-redis not try again.
func (p *proxy) url() string { return "redis://" + p.listener.Addr().String() + "/0?max_retries=-1" }

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.upstream)
		if err != nil || !p.keep(client, server) {
			_ = client.Close()
			continue
		}
		p.wg.Go(func() {
			_, _ = io.Copy(client, server)
			_ = client.Close()
		})
		p.wg.Go(func() {
			p.forward(server, bufio.NewReader(client))
			_ = server.Close()
		})
	}
}

func (p *proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, conns...)
	return !p.dead
}

func (p *proxy) forward(to io.Writer, client *bufio.Reader) {
	server := bufio.NewWriter(to)
	for {
		raw, name, err := readCommand(client)
		if err != nil {
			return
		}
		if p.counts(name) {
			// Those before it have reached the server whatever happens now.
			if server.Flush() != nil || p.meet(name) != nil {
				return
			}
		}
		if _, err := server.Write(raw); err != nil {
			return
		}
		if client.Buffered() == 0 && server.Flush() != nil {
			return
		}
	}
}

// counts says whether a command is one of those that are met.
func (p *proxy) counts(command string) bool {
	name, _, _ := strings.Cut(command, " ")
	return p.only == "" || p.only == name
}

var errDead = errors.New("dead")

func (p *proxy) meet(command string) error {
	p.mu.Lock()
	if p.dead {
		p.mu.Unlock()
		return errDead
	}
	p.n++
	err := p.before(p.n, command)
	p.mu.Unlock()
	if err != nil {
		p.die()
	}
	return err
}

func (p *proxy) die() {
	_ = p.listener.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
	for _, c := range p.conns {
		_ = c.Close()
	}
}

// readCommand reads an array of bulk strings, and returns its bytes and the
// first word, with which script it is.
func readCommand(r *bufio.Reader) (raw []byte, name string, err error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, "", err
	}
	raw = append(raw, line...)
	words, err := strconv.Atoi(strings.Trim(line, "*\r\n"))
	if err != nil {
		return nil, "", err
	}
	for i := range words {
		if line, err = r.ReadString('\n'); err != nil {
			return nil, "", err
		}
		raw = append(raw, line...)
		size, err := strconv.Atoi(strings.Trim(line, "$\r\n"))
		if err != nil {
			return nil, "", err
		}
		at := len(raw)
		raw = append(raw, make([]byte, size+2)...)
		word := raw[at:]
		if _, err := io.ReadFull(r, word); err != nil {
			return nil, "", err
		}
		switch {
		case i == 0:
			name = strings.ToLower(string(word[:size]))
		case i == 1 && name == "evalsha":
			name += " " + string(word[:size])
		}
	}
	return raw, name, nil
}
