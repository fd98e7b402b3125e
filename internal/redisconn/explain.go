package redisconn

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// Errors of a server that is not what it is taken for.
var (
	// ErrNoHello is a server that says nothing of itself.
	ErrNoHello = errors.New("it does not know HELLO, so it is a Redis before 6.2 or a proxy that hides the server: name the server itself")
	// ErrSentinel is a Sentinel that a URL names as the data server.
	ErrSentinel = errors.New("it is a Sentinel and holds no data: add ?master_name=, the name that it knows the master by, to the URL")
)

// errFull is a server that takes no more clients, which says so with fullReply.
var errFull = errors.New("it has no room for another client: raise its maxclients, or find who holds the connections (CLIENT LIST)")

const fullReply = "max number of clients"

// explain says in words what went wrong while a connection was opened, and what
// may mend it.
func (c Connection) explain(ctx context.Context, err error) error {
	t, _ := c.target()
	// What a Sentinel answered was explained where it was asked.
	_, ofSentinel := errors.AsType[sentinelError](err)
	if !ofSentinel {
		if explained := c.explainReply(t, err); explained != nil {
			return explained
		}
	}
	late := errors.Is(ctx.Err(), context.DeadlineExceeded) && errors.Is(err, context.DeadlineExceeded)
	if !ofSentinel && !late {
		if probed := c.probe(ctx, err); probed != nil {
			return fmt.Errorf("%w: %w", probed, err)
		}
	}
	if remedy := c.remedy(err); remedy != "" {
		return fmt.Errorf("%s: %w", remedy, err)
	}
	return err
}

// explainReply explains what the data server answered; it is nil for what needs no
// explanation.
func (c Connection) explainReply(t target, err error) error {
	text := err.Error()
	if explained := c.dataLogin(t).explain(err); explained != nil {
		return explained
	}
	switch {
	case strings.Contains(text, "unknown command") && strings.Contains(strings.ToUpper(text), "HELLO"):
		return fmt.Errorf("%w: %w", ErrNoHello, err)
	case strings.Contains(text, "SELECT is not allowed in cluster mode"):
		return fmt.Errorf("a Redis Cluster has database 0 only: %w", err)
	case strings.Contains(text, "DB index is out of range"):
		return fmt.Errorf("it has no database %d: see its setting databases: %w", t.database, err)
	case strings.Contains(text, "cluster support disabled"):
		return fmt.Errorf("the URL names several servers as those of a cluster, and they are none: %w", err)
	}
	return nil
}

// remedy is what may mend the way to a server; "" if nothing is likely to.
func (c Connection) remedy(err error) string {
	if remedy := c.remedyOfTLS(err); remedy != "" {
		return remedy
	}
	name, unnamed := errors.AsType[*net.DNSError](err)
	text := err.Error()
	switch {
	case ClassOf(err) == ClassTimeout:
		return "no answer in time: check host, port and firewall, or raise REDIS_TIMEOUT"
	case unnamed && name.IsNotFound:
		return "no such host: check the host's name in REDIS_URL"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: check host and port in REDIS_URL, and that Redis runs"
	case errors.Is(err, os.ErrNotExist):
		return "there is no such socket: check the path in REDIS_URL, and that Redis runs"
	case errors.Is(err, os.ErrPermission):
		return "the socket cannot be opened by this user: see Redis's setting unixsocketperm"
	case strings.Contains(text, `"HTTP/`):
		return "an HTTP server answers there and no Redis: check the port in REDIS_URL"
	case strings.Contains(text, "redis: can't parse"), strings.Contains(text, "redis: invalid"):
		return "what answers there is no Redis: check host and port in REDIS_URL"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return c.remedyOfSilence()
	}
	return ""
}

// remedyOfTLS is what may mend it if the two sides could not agree on certificates.
func (c Connection) remedyOfTLS(err error) string {
	if _, of := errors.AsType[x509.UnknownAuthorityError](err); of {
		if c.CAFile != "" {
			return "the server's certificate is of none of the authorities in REDIS_TLS_CA_FILE"
		}
		return "the server's certificate is of an authority that this machine does not know: set REDIS_TLS_CA_FILE to the authority's certificate"
	}
	if _, of := errors.AsType[x509.HostnameError](err); of {
		if c.ServerName != "" {
			return "the server's certificate is not for the name in REDIS_TLS_SERVER_NAME: set it to one of the certificate's names"
		}
		return "the server's certificate is not for the host of the URL: set REDIS_TLS_SERVER_NAME to one of the certificate's names"
	}
	if invalid, of := errors.AsType[x509.CertificateInvalidError](err); of && invalid.Reason == x509.Expired {
		return "the server's certificate is not valid at this time: renew it, or set this machine's clock"
	}
	if alert, of := errors.AsType[*net.OpError](err); !of || alert.Op != "remote error" {
		return ""
	}
	if c.CertFile != "" {
		return "the server refuses our certificate: check REDIS_TLS_CERT_FILE, and the authorities that the server trusts"
	}
	return "the server wants a certificate of ours: set REDIS_TLS_CERT_FILE and REDIS_TLS_KEY_FILE"
}

// remedyOfSilence is what may mend a connection that is closed without an answer. A
// server that refuses our certificate may be gone before it can be heard saying so.
func (c Connection) remedyOfSilence() string {
	t, _ := c.target()
	switch secure := t.tlsConfig() != nil || c.usesTLSFiles(); {
	case secure && c.CertFile != "":
		return "the connection was closed without an answer: the server refuses our certificate (REDIS_TLS_CERT_FILE), or a proxy has no Redis behind it"
	case secure:
		return "the connection was closed without an answer: the server wants a certificate of ours (REDIS_TLS_CERT_FILE and REDIS_TLS_KEY_FILE), or a proxy has no Redis behind it"
	}
	return "the connection was closed without an answer: a proxy without a Redis behind it, or a port that is not Redis's"
}

// probe looks once more at a port that broke off without a word, or with words
// that are none of Redis's: a server without room says so and closes before it is
// asked, and one that wants TLS says nothing that can be read.
func (c Connection) probe(ctx context.Context, err error) error {
	t, _ := c.target()
	if t.tlsConfig() != nil || c.usesTLSFiles() || t.shape != ofServer || t.socket != "" {
		return nil
	}
	if _, replied := errors.AsType[redis.Error](err); replied && !strings.Contains(err.Error(), fullReply) {
		return nil
	}
	// The time for opening may be over; these are bounded by themselves.
	ctx = context.WithoutCancel(ctx)
	dialer := &net.Dialer{Timeout: c.Timeout, Resolver: c.Resolver}
	switch {
	case strings.Contains(err.Error(), fullReply), strings.Contains(greeting(ctx, dialer, t.addrs[0]), fullReply):
		return errFull
	case speaksTLS(ctx, dialer, "tcp", t.addrs[0]):
		return errTLSPort
	}
	return nil
}
