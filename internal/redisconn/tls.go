package redisconn

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// tlsConfig adds the files to what the URL says. It names no server unless the
// settings do: go-redis then checks each node against its own address.
func (c Connection) tlsConfig(t target) (*tls.Config, error) {
	config := t.tlsConfig()
	if !c.usesTLSFiles() {
		return config, nil
	}
	if config == nil {
		config = &tls.Config{}
	}
	config.MinVersion = tls.VersionTLS12
	if c.ServerName != "" {
		config.ServerName = c.ServerName
	}
	if c.CAFile != "" {
		authorities, err := readAuthorities(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("REDIS_TLS_CA_FILE: %w", err)
		}
		config.RootCAs = authorities
	}
	if c.CertFile != "" || c.KeyFile != "" {
		if _, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile); err != nil {
			return nil, fmt.Errorf("REDIS_TLS_CERT_FILE and REDIS_TLS_KEY_FILE: %w", err)
		}
		// Read again at each handshake, as certificates are renewed in place.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
			return &pair, err
		}
	}
	return config, nil
}

// usesTLSFiles reports whether a setting asks for TLS, whatever the URL says.
func (c Connection) usesTLSFiles() bool {
	return c.CAFile != "" || c.CertFile != "" || c.KeyFile != "" || c.ServerName != ""
}

// readAuthorities reads the authorities to trust.
func readAuthorities(path string) (*x509.CertPool, error) {
	text, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("holds no PEM certificate%s; allowed: a file with one or more CERTIFICATE blocks", insteadOf(text))
	}
	return authorities, nil
}

// readPEM reads a file; the error does not repeat its path.
func readPEM(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if wrong, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, fmt.Errorf("%w; allowed: a file that can be read", wrong.Err)
	}
	return text, err
}

// insteadOf says what else a PEM file holds.
func insteadOf(text []byte) string {
	if block, _ := pem.Decode(text); block != nil {
		return " but a block " + block.Type
	}
	return ""
}

// CheckAuthorities reports what is wrong with a file of authorities. The errors of
// these checks do not repeat the path, and say what is allowed.
func CheckAuthorities(path string) error {
	_, err := readAuthorities(path)
	return err
}

// CheckCertificate reports what is wrong with a file of our certificate.
func CheckCertificate(path string) error {
	text, err := readPEM(path)
	if err != nil {
		return err
	}
	for rest := text; ; {
		block, after := pem.Decode(rest)
		switch {
		case block == nil:
			return fmt.Errorf("holds no PEM certificate%s; allowed: a file with a CERTIFICATE block", insteadOf(text))
		case block.Type == "CERTIFICATE":
			if _, err := x509.ParseCertificate(block.Bytes); err != nil {
				return fmt.Errorf("its certificate cannot be read (%w); allowed: a file with a CERTIFICATE block", err)
			}
			return nil
		}
		rest = after
	}
}

// CheckKey reports what is wrong with a file of our private key, and whether it is
// that of a certificate unless that is "".
func CheckKey(path, certFile string) error {
	text, err := readPEM(path)
	if err != nil {
		return err
	}
	block, isKey := (*pem.Block)(nil), false
	for rest := text; !isKey; {
		if block, rest = pem.Decode(rest); block == nil {
			return fmt.Errorf("holds no PEM private key%s; allowed: a file with a PRIVATE KEY block", insteadOf(text))
		}
		isKey = strings.HasSuffix(block.Type, "PRIVATE KEY")
	}
	if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
		return errors.New("the key is protected by a passphrase; allowed: a private key without one")
	}
	if certFile == "" {
		return nil
	}
	certificate, err := readPEM(certFile)
	if err != nil {
		return err
	}
	if _, err := tls.X509KeyPair(certificate, text); err != nil {
		return fmt.Errorf("does not fit the certificate (%s); allowed: the private key of the certificate in REDIS_TLS_CERT_FILE",
			strings.TrimPrefix(err.Error(), "tls: "))
	}
	return nil
}
