package redistest

import (
	"context"
	"encoding/binary"
	"net"
	"sync"
	"testing"
)

// DNS is a name server of the test's own that gives one address for whatever
// name it is asked.
type DNS struct {
	conn net.PacketConn

	mu sync.Mutex
	ip net.IP
}

// StartDNS starts a name server that ends with the test. Only who uses its
// [DNS.Resolver] asks it.
func StartDNS(t testing.TB, ip string) *DNS {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	d := &DNS{conn: conn}
	d.Move(ip)
	var wg sync.WaitGroup
	wg.Go(d.serve)
	t.Cleanup(func() {
		_ = conn.Close()
		wg.Wait()
	})
	return d
}

// Resolver asks this name server.
func (d *DNS) Resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", d.conn.LocalAddr().String())
	}}
}

// Move gives another IPv4 address from now on.
func (d *DNS) Move(ip string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ip = net.ParseIP(ip).To4()
}

func (d *DNS) serve() {
	query := make([]byte, 1500)
	for {
		n, from, err := d.conn.ReadFrom(query)
		if err != nil {
			return
		}
		if answer := d.answer(query[:n]); answer != nil {
			_, _ = d.conn.WriteTo(answer, from)
		}
	}
}

// answer gives the address to a question for one, and no record to any other:
// see RFC 1035, section 4.
func (d *DNS) answer(query []byte) []byte {
	const header, typeA = 12, 1
	end := header
	for end < len(query) && query[end] != 0 {
		end += 1 + int(query[end])
	}
	end += 1 + 4 // the root, the type and the class
	if end > len(query) {
		return nil
	}
	answer := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, query[header:end]...)
	if binary.BigEndian.Uint16(query[end-4:]) != typeA {
		return answer
	}
	answer[7] = 1
	answer = append(answer, 0xc0, header, 0, typeA, 0, 1, 0, 0, 0, 60, 0, 4)
	d.mu.Lock()
	defer d.mu.Unlock()
	return append(answer, d.ip...)
}
