package redisconn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// Errors of the two ways to mistake a port for the other kind.
var (
	errPlainPort = errors.New("the port does not speak TLS: use redis:// or unset REDIS_TLS_*, or name the TLS port")
	errTLSPort   = errors.New("the port speaks TLS: use rediss://, with REDIS_TLS_CA_FILE for an authority of your own")
)

// handshakePatience is how long a handshake may take before the port is asked
// whether it is a plain one: Redis waits for the rest of a TLS greeting without
// a word.
const handshakePatience = 500 * time.Millisecond

// dialer opens connections, with TLS unless config is nil. A config that names
// no server is for whichever is dialled.
func (c Connection) dialer(config *tls.Config) dialFunc {
	plain := &net.Dialer{Timeout: c.Timeout, Resolver: c.Resolver}
	if config == nil {
		return c.Lines.through(plain.DialContext)
	}
	return c.Lines.through(c.secureDialer(plain, config))
}

func (c Connection) secureDialer(plain *net.Dialer, config *tls.Config) dialFunc {
	secure := &tls.Dialer{NetDialer: plain, Config: config}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeoutCause(ctx, c.Timeout, nil)
		defer cancel()
		ctx, fail := context.WithCancelCause(ctx)
		defer fail(nil)
		suspect := time.AfterFunc(handshakePatience, func() {
			if answersPlainly(ctx, plain, network, addr) {
				fail(errPlainPort)
			}
		})
		defer suspect.Stop()
		conn, err := secure.DialContext(ctx, network, addr)
		if _, garbled := errors.AsType[tls.RecordHeaderError](err); garbled || errors.Is(context.Cause(ctx), errPlainPort) {
			// No net.Error, which go-redis would try again.
			return nil, errPlainPort
		}
		return conn, err
	}
}

// answersPlainly reports whether a port answers a plain PING, if only to say that
// it wants a password.
func answersPlainly(ctx context.Context, dialer *net.Dialer, network, addr string) bool {
	conn, err := dialer.DialContext(ctx, network, addr)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(handshakePatience))
	if _, err := fmt.Fprint(conn, "PING\r\n"); err != nil {
		return false
	}
	first := make([]byte, 1)
	_, err = conn.Read(first)
	return err == nil && (first[0] == '+' || first[0] == '-')
}

// greeting is what a port says before it is asked anything.
func greeting(ctx context.Context, dialer *net.Dialer, addr string) string {
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return ""
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(handshakePatience / 2))
	text := make([]byte, 128)
	n, _ := conn.Read(text)
	return string(text[:n])
}

// speaksTLS reports whether a port completes a TLS handshake, or at least answers
// in TLS.
func speaksTLS(ctx context.Context, dialer *net.Dialer, network, addr string) bool {
	ctx, cancel := context.WithTimeout(ctx, handshakePatience)
	defer cancel()
	conn, err := dialer.DialContext(ctx, network, addr)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	//nolint:gosec // nothing is sent but the greeting
	err = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}).HandshakeContext(ctx)
	if _, alert := errors.AsType[tls.AlertError](err); alert {
		return true
	}
	return err == nil
}
