package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Certificates are files of a certificate authority of the test's own, and of
// a server and a client that it vouches for.
type Certificates struct {
	CA, ServerCert, ServerKey, ClientCert, ClientKey string
	pool                                             *x509.CertPool
}

// MakeCertificates makes them, for a server at 127.0.0.1 that is also called
// by the name given.
func MakeCertificates(t testing.TB, name string) *Certificates {
	t.Helper()
	dir := t.TempDir()
	c := &Certificates{
		CA: filepath.Join(dir, "ca.pem"), ServerCert: filepath.Join(dir, "server.pem"), ServerKey: filepath.Join(dir, "server.key"),
		ClientCert: filepath.Join(dir, "client.pem"), ClientKey: filepath.Join(dir, "client.key"),
	}
	authority := authorityTemplate()
	key := makeKey(t)
	writeCertificate(t, c.CA, "", authority, authority, key, key)
	c.pool = x509.NewCertPool()
	text, err := os.ReadFile(c.CA)
	must(t, err)
	c.pool.AppendCertsFromPEM(text)
	for i, files := range [][2]string{{c.ServerCert, c.ServerKey}, {c.ClientCert, c.ClientKey}} {
		leaf := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i) + 2), Subject: pkix.Name{CommonName: name},
			DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
			NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		}
		writeCertificate(t, files[0], files[1], leaf, authority, makeKey(t), key)
	}
	return c
}

func makeKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

func writeCertificate(t testing.TB, certFile, keyFile string, cert, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, &key.PublicKey, parentKey)
	must(t, err)
	must(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	if keyFile == "" {
		return
	}
	der, err = x509.MarshalECPrivateKey(key)
	must(t, err)
	must(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600))
}

// StartTLS starts a server that only speaks TLS and wants a client certificate.
func StartTLS(t testing.TB, c *Certificates, args ...string) *Server {
	t.Helper()
	s, err := newServer(t.TempDir(), nil)
	must(t, err)
	_, port, _ := net.SplitHostPort(s.Addr)
	s.args = append([]string{
		"--port", "0", "--tls-port", port, "--tls-ca-cert-file", c.CA, "--tls-cert-file", c.ServerCert, "--tls-key-file", c.ServerKey,
		"--tls-auth-clients", "yes", "--tls-cluster", "yes", "--tls-replication", "yes",
	}, args...)
	pair, err := tls.LoadX509KeyPair(c.ClientCert, c.ClientKey)
	must(t, err)
	_ = s.Client.Close()
	s.Client = redis.NewClient(&redis.Options{Addr: s.Addr, Protocol: 2, TLSConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: c.pool, Certificates: []tls.Certificate{pair},
	}})
	must(t, s.Run())
	t.Cleanup(s.Stop)
	return s
}

// Authority is a certificate authority of the test's own.
type Authority struct {
	// File holds its certificate.
	File string

	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	made int64
}

// NewAuthority makes one.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{dir: t.TempDir(), key: makeKey(t), cert: authorityTemplate()}
	a.File = filepath.Join(a.dir, "ca.pem")
	writeCertificate(t, a.File, "", a.cert, a.cert, a.key, a.key)
	return a
}

// Issue makes the files of a certificate for addresses and names.
func (a *Authority) Issue(t testing.TB, names ...string) (certFile, keyFile string) {
	t.Helper()
	a.made++
	base := filepath.Join(a.dir, strconv.FormatInt(a.made, 10))
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(a.made + 1), Subject: pkix.Name{CommonName: names[0]},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, name)
		}
	}
	writeCertificate(t, base+".pem", base+".key", leaf, a.cert, makeKey(t), a.key)
	return base + ".pem", base + ".key"
}

func authorityTemplate() *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
}
